"""AsyncSmtpClient: the SMTP client for asyncio.

It has the methods, the conversation and the errors of ``client``. What differs: it uses ``async_transport``, not
``transport``; calls that may block (to the KDC, the DNS, a file) run in a thread; only ``open`` connects, because
``__init__`` cannot wait; ``send_all`` is an asynchronous generator, and has one connection: coroutines with a client
each send at the same time.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, TypeVar

from airflow_smtp_cm.smtp.async_transport import AsyncTransport
from airflow_smtp_cm.smtp.bulk import Bulk, Throttle
from airflow_smtp_cm.smtp.client import ClientState
from airflow_smtp_cm.smtp.ehlo_name import ehlo_name
from airflow_smtp_cm.smtp.errors import SmtpError
from airflow_smtp_cm.smtp.session import Session
from airflow_smtp_cm.smtp.trace import Trace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from types import TracebackType
    from typing import Self

    from airflow_smtp_cm.smtp.delivery_notification import DeliveryNotification
    from airflow_smtp_cm.smtp.effects import Steps
    from airflow_smtp_cm.smtp.interfaces import Outgoing
    from airflow_smtp_cm.smtp.result import SendResult
    from airflow_smtp_cm.smtp.settings import Settings
    from airflow_smtp_cm.smtp.trace import TraceSink

__all__ = ["AsyncSmtpClient"]

T = TypeVar("T")


class AsyncSmtpClient(ClientState):
    """The same as ``SmtpClient``, for asyncio; blocking calls, such as KDC requests and file access, run in a thread.

    Create it with ``open`` and use it in an ``async with`` block, which ends the session with QUIT. It must not be
    used by several tasks at once.
    """

    def __init__(self, settings: Settings, *, trace: TraceSink | None = None) -> None:
        self.settings = settings
        self._trace = trace

    @classmethod
    async def open(cls, settings: Settings, *, trace: TraceSink | None = None) -> Self:
        """Connect, start TLS and log in, as the settings require; see ``SmtpClient.open``.

        Raises:
            SmtpError: the session could not be opened; the connection is closed.
        """
        client = cls(settings, trace=trace)
        await client._open()
        return client

    async def send(
        self,
        message: Outgoing,
        *,
        all_or_nothing: bool = False,
        notification: DeliveryNotification | None = None,
    ) -> SendResult:
        """Send one message; see ``SmtpClient.send``."""
        await self._ensure_session()
        return await self._run(self._session.send(message, all_or_nothing=all_or_nothing, notification=notification))

    async def send_all(
        self,
        messages: Iterable[Outgoing],
        *,
        all_or_nothing: bool = False,
        messages_per_minute: float | None = None,
        max_messages_per_connection: int | None = None,
    ) -> AsyncGenerator[SendResult | SmtpError]:
        """Send many messages back to back (pipelined) over one connection; see ``SmtpClient.send_all``."""
        throttle = Throttle(
            messages_per_minute=messages_per_minute, max_messages_per_connection=max_messages_per_connection
        )
        bulk = Bulk(messages, all_or_nothing=all_or_nothing, most=max_messages_per_connection, pace=throttle.pace())
        for _ in bulk.runs():
            if pause := bulk.pause:
                await asyncio.sleep(pause)
            try:
                await self._ensure_session()
            except SmtpError as error:
                for unfinished in bulk.unfinished(error):
                    yield unfinished
                raise
            try:
                async with aclosing(self._transport.stream(self._session.send_all(bulk))) as outcomes:
                    async for outcome in outcomes:
                        yield outcome
            except BaseException as error:
                self._close_after_error(error, self._transport)
                raise
            finally:
                self._last_used = time.monotonic()

    async def noop(self) -> None:
        """Send NOOP to check that the session is still open."""
        await self._run(self._session.noop())

    async def close(self) -> None:
        """End the session with QUIT and close the connection."""
        if not self._session.wire.closed:
            with suppress(SmtpError):
                await self._run(self._session.quit())
        self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _open(self) -> None:
        session = Session(self.settings, Trace(self._trace))
        transport = AsyncTransport(self.settings)
        await transport.connect()
        try:
            if (name := self.settings.ehlo_name) is None:
                name = await transport.run(ehlo_name(transport.local_address))
            await transport.run(session.open(name))
        except BaseException:
            transport.close()
            raise
        self._session, self._transport = session, transport
        self._last_used = time.monotonic()

    async def _ensure_session(self) -> None:
        if not self._session.wire.closed:
            try:
                await self._run(self._probe())
            except SmtpError as error:
                self._discard_session(error)
        if self._session.wire.closed:
            self._transport.close()
            await self._open()

    async def _run(self, steps: Steps[T]) -> T:
        self._transport.deadlines.start_operation()
        try:
            return await self._transport.run(steps)
        except BaseException as error:
            self._close_after_error(error, self._transport)
            raise
        finally:
            self._last_used = time.monotonic()
