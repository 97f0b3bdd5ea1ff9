"""Many messages in one task whose worker is killed while it sends them: the delivered copies are counted."""

from collections import Counter
from contextlib import ExitStack

import pytest

from airflow_smtp_cm.smtp.group_limits import GROUP
from tests.live.stage import Stage
from tests.servers.faulty_proxy import Point

MESSAGES = 200
MOST_UNCERTAIN = 2 * GROUP
OVER_CONNECTIONS = 400  # messages
CONNECTIONS = 4


@pytest.fixture(scope="module")
def stage(airflow, postfix, certificates):
    """All tasks, which are killed once, after the end of their runs."""
    with ExitStack() as stack:
        stage = Stage(airflow, postfix, certificates, stack)
        for name in ("many_fail", "many_resend", "many_assume_sent"):
            stage.hold(name, Point.FINAL, message=MESSAGES // 2)
        stage.hold("many_by_turns", Point.FINAL, port="bare", message=MESSAGES // 2)
        stage.hold("many_slow", Point.MAIL, port="bare", message=4)
        for name in ("connections_fail", "connections_resend"):
            stage.hold(name, Point.FINAL, message=20, connections=CONNECTIONS)
        stage.start("messages_over_4_connections_fail", "connections_fail")
        stage.start("messages_over_4_connections_resend", "connections_resend")
        stage.start("messages_fail", "many_fail")
        stage.start("messages_resend", "many_resend")
        stage.start("messages_assume_sent", "many_assume_sent")
        stage.start("messages_resend", "many_by_turns")
        stage.start("messages_slow", "many_slow")
        stage.play_out()
        yield stage


def copies(seen):
    """Return the number of messages for each number of delivered copies."""
    return Counter(Counter(seen.delivered).values())


def test_uncertain_messages_are_named_and_all_others_are_delivered_once(stage):
    seen = stage.seen("many_fail")

    assert (seen.state, seen.tries) == ("failed", 2)
    result = seen.result
    assert 0 < result["uncertain"] <= MOST_UNCERTAIN
    assert result["sent"] == MESSAGES - result["uncertain"]
    assert copies(seen).keys() == {1}
    uncertain = {failure["message_id"] for failure in result["failures"]}
    assert len(uncertain) == result["uncertain"]
    assert len(set(seen.delivered) - uncertain) == result["sent"]
    assert "may have been delivered or not, and are not sent again" in seen.log


@pytest.mark.parametrize(("name", "twice"), [("many_resend", MOST_UNCERTAIN), ("many_by_turns", GROUP)])
def test_all_are_delivered_and_only_uncertain_ones_twice_with_resend(stage, name, twice):
    seen = stage.seen(name)

    assert (seen.state, seen.tries, seen.result["sent"]) == ("success", 2, MESSAGES)
    assert copies(seen).keys() <= {1, 2}
    assert copies(seen).total() == MESSAGES
    assert 0 < copies(seen)[2] <= twice


def test_over_four_connections_uncertain_messages_are_not_sent_again_and_all_others_once(stage):
    seen = stage.seen("connections_fail")

    assert (seen.state, seen.tries) == ("failed", 2)
    result = seen.result
    assert 0 < result["uncertain"] <= CONNECTIONS * MOST_UNCERTAIN
    assert result["sent"] == OVER_CONNECTIONS - result["uncertain"]
    assert copies(seen).keys() == {1}
    assert copies(seen).total() >= result["sent"]


def test_over_four_connections_only_uncertain_messages_are_delivered_twice_with_resend(stage):
    seen = stage.seen("connections_resend")

    assert (seen.state, seen.tries, seen.result["sent"]) == ("success", 2, OVER_CONNECTIONS)
    assert copies(seen).keys() <= {1, 2}
    assert copies(seen).total() == OVER_CONNECTIONS
    assert 0 < copies(seen)[2] <= CONNECTIONS * MOST_UNCERTAIN


def test_none_is_delivered_twice_with_assume_sent(stage):
    seen = stage.seen("many_assume_sent")

    assert (seen.state, seen.tries, seen.result["sent"]) == ("success", 2, MESSAGES)
    assert copies(seen).keys() == {1}
    assert copies(seen).total() >= MESSAGES - seen.result["assumed_sent"]
    assert 0 < seen.result["assumed_sent"] <= MOST_UNCERTAIN


def test_spaced_messages_are_not_uncertain_before_their_content_is_transmitted(stage):
    seen = stage.seen("many_slow")

    assert (seen.state, seen.tries, seen.result["sent"]) == ("success", 2, 6)
    assert copies(seen) == {1: 6}
