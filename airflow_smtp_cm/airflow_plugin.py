"""The plugin of this package: the scheduler imports what a task needs, so that tasks of LocalExecutor need not.

LocalExecutor starts a task as a fork of the scheduler's process, which has all modules that the scheduler imported.
Airflow loads plugins when it creates the scheduler's ``Job``, before the first fork. Then, the scheduler has no other
thread, which could hold a lock. The imports start no thread, open no file and call no function of GSS-API, so
that the forks share no state.

In other processes, nothing is imported: they start no tasks (``api-server``, ``dag-processor``), or they load no
plugins before they do (workers of Celery and Edge). The process of a task loads them, too, even if it sends no mail.

If an import fails, Airflow logs that, and the scheduler continues; each task imports what it needs.

It is not a listener (``on_starting``): if there is any, Airflow rejects DAGs with ``end_from_trigger=True``.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_all_start_methods, get_start_method, parent_process
from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin, conf

# What most tasks need; the package imports some of it only at the place of use.
_OF_A_TASK = (
    "airflow_smtp_cm.operators.send_mail",
    "airflow_smtp_cm.task.composition",
    "airflow_smtp_cm.task.delivery.one_message",
    "airflow_smtp_cm.task.delivery.mail_merge",
    "airflow_smtp_cm.task.map_index",
    "airflow_smtp_cm.mail.plain_text",
    "airflow_smtp_cm.smtp.client",
    "airflow_smtp_cm.smtp.bulk",
    "airflow_smtp_cm.smtp.authentication",
    "encodings.idna",  # Python encodes every host name with it
)
# Not below Airflow 3.3, which has no retry policies.
_OF_A_RETRY = "airflow_smtp_cm.task.retry_policy"


class SmtpCmPlugin(AirflowPlugin):
    """Import in the scheduler what tasks need. It extends nothing of Airflow."""

    name = "airflow_smtp_cm"

    @classmethod
    def on_load(cls, *_: Any, **__: Any) -> None:
        """Import the modules, if tasks will be forks of this process.

        Raises:
            ImportError: a library of this package is missing or broken. Airflow logs it.
        """
        if _tasks_are_forks():
            for module in _OF_A_TASK:
                import_module(module)
            with suppress(ImportError):
                import_module(_OF_A_RETRY)


def _tasks_are_forks() -> bool:
    """Return whether this is the process of ``airflow scheduler``, and starts tasks as its forks.

    Processes that it starts itself have its ``sys.argv``, too: the workers of LocalExecutor, and their tasks.
    """
    return (
        sys.argv[1:2] == ["scheduler"]
        and parent_process() is None
        and _start_method() == "fork"
        and "LocalExecutor" in conf.get("core", "executor", fallback="")
    )


def _start_method() -> str:
    # Without allow_none, nobody could set the method after this call. The first of all methods is the default.
    return get_start_method(allow_none=True) or get_all_start_methods()[0]
