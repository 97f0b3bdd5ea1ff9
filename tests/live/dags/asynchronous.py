"""DAGs that use the hook with asyncio; the tests define the connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, dag, task

from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook
from airflow_smtp_cm.mail.message import MailMessage
from tests.live.triggers import ConnectionTest

if TYPE_CHECKING:
    from airflow.sdk import Context

MESSAGES = 50
CLIENTS = 5


@task
async def send() -> list[int]:
    """Send 50 messages at once on 5 connections; return how many each connection sent."""
    hook = SmtpCmHook()
    messages = (
        MailMessage(from_email="alice@corp.test", to="bob@corp.test", subject=str(number))
        for number in range(MESSAGES)
    )
    all_are_open = asyncio.Barrier(CLIENTS)

    async def send_on_one_connection() -> int:
        async with await hook.aget_conn() as client:
            await all_are_open.wait()
            return len([await client.send(message) for message in messages])

    return await asyncio.gather(*(send_on_one_connection() for _ in range(CLIENTS)))


class TestInTriggerer(BaseOperator):
    """Tests the default connection in the triggerer."""

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Wait for the trigger."""
        self.defer(trigger=ConnectionTest(), method_name="tested")

    def tested(self, context: Context, event: Any) -> Any:  # noqa: ARG002 - as above
        """Return the outcome and its description."""
        return event


@dag(schedule=None)
def asynchronous() -> None:
    """Send in a task, and test the connection in the triggerer."""
    send()
    TestInTriggerer(task_id="test")


asynchronous()
