"""The plugin of this package: the scheduler imports what a task needs, so that tasks of LocalExecutor need not.

LocalExecutor starts a task as a fork of the scheduler's process, which has all modules that the scheduler imported.
Airflow loads plugins when it creates the scheduler's ``Job``, before the first fork. Then, the scheduler has no other
thread, which could hold a lock. The imports start no thread, open no file and call no function of GSS-API, so
that the forks share no state.

In other processes, nothing is imported: they start no tasks, or they load no plugins before they do. The process of a
task loads them, too, even if it sends no mail.

It is not a listener (``on_starting``): if there is any, Airflow rejects DAGs with ``end_from_trigger=True``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

# What most tasks need; the package imports some of it only at the place of use.
_OF_A_TASK = (
    "airflow_smtp_cm.task.composition",
    "airflow_smtp_cm.task.delivery.one_message",
    "airflow_smtp_cm.task.delivery.mail_merge",
    "airflow_smtp_cm.task.map_index",
    "airflow_smtp_cm.mail.plain_text",
    "airflow_smtp_cm.smtp.client",
    "airflow_smtp_cm.smtp.bulk",
    "airflow_smtp_cm.smtp.authentication",
)


class SmtpCmPlugin(AirflowPlugin):
    """Import in the scheduler what tasks need. It extends nothing of Airflow."""

    name = "airflow_smtp_cm"

    @classmethod
    def on_load(cls, *_: Any, **__: Any) -> None:
        """Import the modules, if this is the process of ``airflow scheduler``."""
        match sys.argv:
            case [_, "scheduler", *_]:
                for module in _OF_A_TASK:
                    import_module(module)
