"""What SSIS's system variables ("System Variables") are in Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_smtp_cm.ssis.expressions import Binding


def in_task(name: str) -> Binding:
    """Tell what a system variable is in a template field of a task.

    Args:
        name: the variable's name, without its namespace.

    Raises:
        Untranslatable: it has no counterpart there; text is the variable, position 0.
    """
    raise NotImplementedError


def in_callback(name: str) -> Binding:
    """Tell what a system variable is in a template field of a notifier that is a callback (an event handler's mail).

    Args:
        name: the variable's name, without its namespace.

    Raises:
        Untranslatable: it has no counterpart there; text is the variable, position 0.
    """
    raise NotImplementedError
