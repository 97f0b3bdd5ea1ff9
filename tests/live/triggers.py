"""Triggers for the DAGs of the tests; the triggerer imports them by their path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_smtp_cm.hooks.smtp_cm import SmtpCmHook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class ConnectionTest(BaseTrigger):
    """Tests the default connection."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the path of the class, and no arguments."""
        return f"{type(self).__module__}.{type(self).__name__}", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the outcome and its description."""
        yield TriggerEvent(list(await SmtpCmHook().atest_connection()))
