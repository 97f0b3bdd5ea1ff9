"""The threads of the tests' process, to find those that a server leaves behind."""

import threading


def threads():
    """Return the running threads, except those of a client's calls, which end a moment after their results arrive."""
    return {thread for thread in threading.enumerate() if thread.name != "airflow_smtp_cm call"}
