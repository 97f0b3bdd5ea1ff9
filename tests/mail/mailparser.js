// Reads mails with npm's mailparser: JSON lines of messages in base64 in, JSON lines of what it found out.
const { simpleParser } = require("mailparser");
const lines = require("readline").createInterface({ input: process.stdin });

(async () => {
  for await (const line of lines) {
    const mail = await simpleParser(Buffer.from(line, "base64"), { skipImageLinks: true });
    const attachments = mail.attachments.map((part) => ({
      name: part.filename,
      type: part.contentType,
      disposition: part.contentDisposition,
      cid: part.cid,
      related: part.related,
      content: part.content.toString("base64"),
    }));
    console.log(JSON.stringify({ html: mail.html, text: mail.text, attachments }));
  }
})();
