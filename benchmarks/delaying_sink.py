"""A sink that offers PIPELINING, discards the mail, and delays each final reply, in each session by itself.

Run: python -m benchmarks.delaying_sink PORT SECONDS
"""

from __future__ import annotations

import asyncio
import sys

from tests.servers.processes import LOOPBACK

_REPLIES = {
    b"EHLO": b"250-me\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


async def _serve(port: int, delay: float) -> None:
    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            writer.write(_REPLIES.get(word, b"250 ok\r\n"))
            if word == b"QUIT":
                break
            if word == b"DATA":
                await reader.readuntil(b"\r\n.\r\n")
                await asyncio.sleep(delay)
                writer.write(b"250 queued\r\n")
        writer.close()

    server = await asyncio.start_server(session, LOOPBACK, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
