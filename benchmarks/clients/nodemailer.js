// A worker like __main__.py, for nodemailer: reads jobs from standard input, one per line, and answers with their costs.

const readline = require("node:readline");
const nodemailer = require("nodemailer");

const [, , SENDER, TEXT] = process.argv;

function transport({ server, reconnect }) {
  const common = {
    host: "127.0.0.1",
    port: server.port,
    secure: false,
    ignoreTLS: !server.starttls,
    requireTLS: server.starttls,
  };
  return nodemailer.createTransport(
    reconnect ? common : { ...common, pool: true, maxConnections: 1, maxMessages: Infinity },
  );
}

function mail({ recipients, attachment }, number) {
  return {
    from: SENDER,
    to: Array.from({ length: recipients }, (_, reader) => `reader${reader}@bench.test`),
    subject: `Report ${number}`,
    text: TEXT,
    attachments: attachment ? [{ path: attachment }] : [],
  };
}

async function run(job) {
  const transporter = transport(job);
  if (!job.reconnect) {
    await transporter.sendMail(mail({ recipients: 1 }, -1)); // opens the connection
  }
  const started = process.hrtime.bigint();
  const before = process.cpuUsage();
  if (job.bulk) {
    await Promise.all(Array.from({ length: job.messages }, (_, number) => transporter.sendMail(mail(job, number))));
  } else {
    for (let number = 0; number < job.messages; number++) {
      await transporter.sendMail(mail(job, number));
    }
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const { user, system } = process.cpuUsage(before);
  transporter.close();
  return { seconds, cpu: (user + system) / 1e6 };
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await run(JSON.parse(line))));
  }
})();
