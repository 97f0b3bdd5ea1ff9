"""Calls that can be abandoned: a library that waits for the network without a limit cannot be interrupted."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def start_call(function: Callable[[], T]) -> Future[T]:
    """Call a function in a thread of its own, and return its future result.

    Unlike the threads of an executor, this one does not hold up the end of the process or of an event loop.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # it cannot be cancelled: the function may set the result at any time

    def call() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - the one who waits for the result gets it
            future.set_exception(error)
        else:
            future.set_result(result)

    Thread(target=call, name="airflow_smtp_cm call", daemon=True).start()
    return future
