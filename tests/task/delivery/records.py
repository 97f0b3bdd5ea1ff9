"""What a try has recorded and sent, for messages that are named by their indexes."""

from airflow_smtp_cm.task.delivery.ledger import Ledger
from airflow_smtp_cm.task.message_id import message_id_of
from airflow_smtp_cm.task.state_store import KEY, TaskRecord
from tests.operators.test_send_mail import FakeTaskInstance


def recorded_states(store, count):
    """Return the states of so many messages in the record."""
    if KEY not in store.kept:
        return bytearray(count)
    record = TaskRecord({"ti": FakeTaskInstance(), "task_state_store": store}, durable=True)
    return Ledger(record, count, store.get(KEY)["digest"])._states


def message_ids_of(count, ti):
    """Return the Message-IDs of so many messages of a task instance."""
    return [message_id_of({"ti": ti}, "alice@corp.test", index) for index in range(count)]
