"""Many messages: each is delivered once, memory stays flat, nothing stays open. ``make load`` sends thousands."""

import pytest

from tests.load import copies, message_ids, send_from_new_process, to_postfix
from tests.servers.postfix import MESSAGES_PER_SESSION


@pytest.mark.parametrize(
    ("case", "port", "messages", "threads", "resent"),
    [
        ("one-session", "default", 300, 1, 0),
        ("threads", "default", 400, 8, 0),
        ("throttled", "throttled", 200, 2, 2 * (100 // MESSAGES_PER_SESSION - 1)),
    ],
    ids=["one session", "a session for each of 8 threads", "sessions that the server ends"],
)
def test_each_of_many_messages_is_delivered_once_and_nothing_stays_open(
    postfix, certificates, case, port, messages, threads, resent
):
    cost = send_from_new_process(to_postfix(postfix, certificates, port), case, messages, threads=threads)
    postfix.wait_until_idle()
    assert copies(postfix, message_ids(case, messages)) == {1: messages}
    assert cost.resent == resent
    assert cost.is_flat, cost


def test_over_several_connections_each_message_is_delivered_once_and_memory_stays_flat(postfix, certificates):
    case, messages = "connections", 400
    cost = send_from_new_process(to_postfix(postfix, certificates), case, messages, connections=4)
    postfix.wait_until_idle()
    assert copies(postfix, message_ids(case, messages)) == {1: messages}
    assert cost.is_flat, cost
