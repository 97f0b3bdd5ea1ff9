/* An SMTP server that discards mail as fast as it arrives, with PIPELINING and CHUNKING: the time is that of the client.
 * It accepts everything, and replies with one write to all commands of one read.
 *
 * fast_sink PORT KEYWORD...: listens on 127.0.0.1; the reply to EHLO lists the keywords.
 */

#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT = 1 << 20, OUTPUT = 1 << 16, LONGEST_REPLY = 512 };

static const char END_OF_DATA[] = "\r\n.\r\n";
static const size_t END = sizeof END_OF_DATA - 1;

static char input[INPUT], output[OUTPUT], ehlo[LONGEST_REPLY];
static size_t answered;
static int peer;

static void flush(void)
{
    for (size_t sent = 0; sent < answered;) {
        ssize_t written = write(peer, output + sent, answered - sent);
        if (written <= 0)
            exit(0);
        sent += written;
    }
    answered = 0;
}

static void answer(const char *reply)
{
    size_t length = strlen(reply);
    if (answered + length > OUTPUT)
        flush();
    memcpy(output + answered, reply, length);
    answered += length;
}

static int is(const char *command, const char *name)
{
    return strncasecmp(command, name, strlen(name)) == 0;
}

static void serve(void)
{
    size_t start = 0, end = 0; /* input that has been read, but not processed */
    size_t chunk = 0;          /* bytes of a BDAT chunk that are still missing */
    int in_chunk = 0, in_data = 0;

    answer("220 fast-sink ESMTP\r\n");
    for (;;) {
        if (in_chunk) {
            size_t taken = end - start < chunk ? end - start : chunk;
            start += taken;
            if ((chunk -= taken) == 0) {
                in_chunk = 0;
                answer("250 2.0.0 Ok\r\n");
                continue;
            }
        } else if (in_data) {
            char *found = memmem(input + start, end - start, END_OF_DATA, END);
            if (found) {
                start = found + END - input;
                in_data = 0;
                answer("250 2.0.0 Ok\r\n");
                continue;
            }
            if (end - start >= END)
                start = end - (END - 1); /* they may contain the beginning of the end */
        } else {
            char *line = input + start, *newline = memchr(line, '\n', end - start);
            if (newline) {
                start = newline + 1 - input;
                if (is(line, "EHLO"))
                    answer(ehlo);
                else if (is(line, "DATA")) {
                    start -= 2; /* a dot right after the command ends the data, too */
                    in_data = 1;
                    answer("354 Go on\r\n");
                } else if (is(line, "BDAT")) {
                    chunk = strtoul(line + 4, NULL, 10);
                    in_chunk = 1;
                } else if (is(line, "QUIT")) {
                    answer("221 2.0.0 Bye\r\n");
                    flush();
                    return;
                } else
                    answer("250 2.0.0 Ok\r\n");
                continue;
            }
        }
        flush();
        memmove(input, input + start, end - start);
        end -= start;
        start = 0;
        ssize_t got = end < INPUT ? read(peer, input + end, INPUT - end) : 0;
        if (got <= 0)
            return;
        end += got;
    }
}

int main(int count, char **arguments)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    address.sin_port = htons(atoi(arguments[1]));
    size_t written = sprintf(ehlo, "250%cfast-sink\r\n", count > 2 ? '-' : ' ');
    for (int at = 2; at < count; at++)
        written += sprintf(ehlo + written, "250%c%s\r\n", at + 1 < count ? '-' : ' ', arguments[at]);

    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 128)) {
        perror("fast_sink");
        return 1;
    }
    for (;;) {
        peer = accept(listener, NULL, NULL);
        if (peer >= 0 && fork() == 0) {
            close(listener);
            setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            serve();
            return 0;
        }
        close(peer);
    }
}
