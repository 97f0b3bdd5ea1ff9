"""One try of a Send Mail task in its own process, which may be killed while it sends.

::

    python -m tests.task.delivery.one_try FILE NUMBER '{"to": ...}'

The record of all tries is in the file. Instead of the write of that number, the process is killed; 0 means never.
"""

import json
import sys

from airflow_smtp_cm.operators.send_mail import SendMailOperator
from tests.operators.test_send_mail import FakeTaskInstance
from tests.task.delivery.stores import StoreInFile


def main(file: str, killed_at: str, fields: str) -> None:
    """Execute the operator, and write its result to standard output."""
    operator = SendMailOperator(task_id="send", **json.loads(fields))
    store = StoreInFile(file, int(killed_at) or None)
    result = operator.execute({"ti": FakeTaskInstance(), "task_state_store": store})
    sys.stdout.write("\n" + json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
