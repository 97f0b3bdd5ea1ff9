"""The states of a message and the events that change them; the event for each outcome of a try."""

import itertools
import re

import pytest

from airflow_smtp_cm.smtp.errors import (
    DeliveryIncomplete,
    DeliveryUncertain,
    Disconnected,
    MessageError,
    RecipientsRefused,
    Refused,
)
from airflow_smtp_cm.smtp.reply import Reply
from airflow_smtp_cm.smtp.result import Refusal, SendResult
from airflow_smtp_cm.task.delivery import states
from airflow_smtp_cm.task.delivery.states import Event, RetryRules, State, after, over_all_tries, rejected, result_of

# For each event, the state after it, by the state before; "-" if it cannot happen.
COLUMNS = ("WAITING", "SENDING", "DEFERRED", "ASKED", "SENT", "ASSUMED_SENT", "FAILED", "UNCERTAIN")
TABLE = {
    "CONTENT_DUE": ("SENDING", "-", "SENDING", "-", "-", "-", "-", "-"),
    "ACCEPTED": ("-", "SENT", "-", "-", "-", "-", "-", "-"),
    "PART": ("-", "DEFERRED", "-", "-", "-", "-", "-", "-"),
    "DEFERRED": ("DEFERRED", "DEFERRED", "DEFERRED", "DEFERRED", "-", "-", "-", "-"),
    "REJECTED": ("FAILED", "FAILED", "FAILED", "FAILED", "-", "-", "-", "-"),
    "UNCERTAIN": ("-", "UNCERTAIN", "-", "UNCERTAIN", "-", "-", "-", "-"),
    "RESEND": ("-", "DEFERRED", "-", "DEFERRED", "-", "-", "-", "-"),
    "ASSUME_SENT": ("-", "ASSUMED_SENT", "-", "ASSUMED_SENT", "-", "-", "-", "-"),
    "ASK": ("-", "ASKED", "ASKED", "ASKED", "-", "-", "-", "-"),
    "UNSENT": ("-", "WAITING", "-", "-", "-", "-", "-", "-"),
}
PAIRS = {(state, event): to for event, row in TABLE.items() for state, to in zip(COLUMNS, row, strict=True)}

BOB, CAROL, DAVE = "bob@corp.test", "carol@corp.test", "dave@corp.test"
LATER, NEVER = Reply(450, ("4.2.0 later",)), Reply(550, ("5.1.1 nobody",))


def sent(*accepted, refused=(), **fields):
    known = {"message_id": "<1@corp.test>", "reply": Reply(250, ("ok",)), "size": 5, "seconds": 0.5}
    return SendResult(accepted=accepted, refused=refused, **known | fields)


def refused(*replies, result=None):
    refusals = tuple(Refusal(address, reply) for address, reply in replies)
    return RecipientsRefused("mail.corp.test:25", refused=refusals, accepted=1, result=result)


# --- the states


def test_table_has_every_state_and_every_event():
    assert PAIRS.keys() == set(itertools.product(State.__members__, Event.__members__))


@pytest.mark.parametrize(("pair", "to"), PAIRS.items(), ids=lambda value: "-".join(value) if value != "-" else "none")
def test_event_changes_the_state_or_cannot_happen(pair, to):
    state, event = State[pair[0]], Event[pair[1]]
    if to == "-":
        with pytest.raises(RuntimeError, match=f"in the state {state.name} cannot get the event {event.name}"):
            after(state, event)
    else:
        assert after(state, event) is State[to]


def test_table_in_the_docstring_is_the_same():
    rows = re.findall(r"^ {4}([A-Z_]+) +\| {2}(\S+) +(\S+) +(\S+) +(\S+) +\|", states.__doc__, re.MULTILINE)

    assert {event: tuple(row) for event, *row in rows} == {event: row[:4] for event, row in TABLE.items()}
    assert {to for row in TABLE.values() for to in row[4:]} == {"-"}


def test_states_keep_their_numbers():
    """They are in the records of earlier versions."""
    assert [state.name for state in sorted(State)] == [
        "WAITING",
        "SENDING",
        "SENT",
        "ASSUMED_SENT",
        "DEFERRED",
        "FAILED",
        "UNCERTAIN",
        "ASKED",
    ]


# --- outcomes


@pytest.mark.parametrize(
    ("outcome", "recorded", "forgotten"),
    [
        (sent(BOB), "ACCEPTED", "ACCEPTED"),
        (Disconnected("gone"), "DEFERRED", "DEFERRED"),
        (Refused("no", reply=LATER), "DEFERRED", "DEFERRED"),
        (Refused("no", reply=NEVER), "REJECTED", "REJECTED"),
        (MessageError("too large"), "REJECTED", "REJECTED"),
        (refused((BOB, LATER), (CAROL, LATER)), "DEFERRED", "DEFERRED"),
        (refused((BOB, LATER), (CAROL, NEVER)), "DEFERRED", "REJECTED"),
        (refused((BOB, NEVER)), "REJECTED", "REJECTED"),
        (refused((BOB, LATER), result=sent(CAROL)), "DEFERRED", "REJECTED"),
        (refused((BOB, NEVER), result=sent(CAROL)), "REJECTED", "REJECTED"),
    ],
    ids=[
        *("sent", "network", "4xx", "5xx", "message", "all deferred", "some deferred", "rejected"),
        *("partly deferred", "partly rejected"),
    ],
)
def test_event_of_an_outcome_depends_on_whether_there_is_a_record(outcome, recorded, forgotten):
    """Without a record, a retry would send the message to all recipients."""
    for has_record, event in ((True, recorded), (False, forgotten)):
        rules = RetryRules(on_uncertain="fail", all_or_nothing=False, has_record=has_record)
        assert rules.event(outcome) is Event[event]


def test_all_or_nothing_is_retried_only_if_no_recipient_was_rejected_permanently():
    rules = RetryRules(on_uncertain="fail", all_or_nothing=True, has_record=True)

    assert rules.event(refused((BOB, LATER))) is Event.DEFERRED
    assert rules.event(refused((BOB, LATER), (CAROL, NEVER))) is Event.REJECTED


@pytest.mark.parametrize(
    ("on_uncertain", "event"),
    [("fail", "UNCERTAIN"), ("resend", "RESEND"), ("assume_sent", "ASSUME_SENT"), ("ask", "ASK")],
)
@pytest.mark.parametrize("has_record", [True, False])
def test_event_of_an_uncertain_delivery_is_that_of_on_uncertain(on_uncertain, event, has_record):
    rules = RetryRules(on_uncertain=on_uncertain, all_or_nothing=False, has_record=has_record)

    assert rules.event(DeliveryUncertain("who knows")) is rules.if_uncertain is Event[event]


# --- a message in several transactions

ON_UNCERTAIN = ("fail", "resend", "assume_sent", "ask")


def rules_for(on_uncertain, *, has_record=True):
    return RetryRules(on_uncertain=on_uncertain, all_or_nothing=False, has_record=has_record)


def uncertain(*addresses, accepted=(), unsent=0):
    return DeliveryUncertain("who knows", result=sent(*accepted, uncertain=addresses, reply=None), unsent=unsent)


@pytest.mark.parametrize(
    ("cause", "recorded"), [(Disconnected("gone"), "DEFERRED"), (Refused("no", reply=NEVER), "REJECTED")]
)
def test_event_of_an_incomplete_delivery_is_that_of_its_cause_if_there_is_a_record(cause, recorded):
    """Without a record, a retry would send to those who have the message."""
    outcome = DeliveryIncomplete(result=sent(BOB), remaining=(CAROL, DAVE), cause=cause)

    assert rules_for("fail").event(outcome) is Event[recorded]
    assert rules_for("fail", has_record=False).event(outcome) is Event.REJECTED


@pytest.mark.parametrize("on_uncertain", ON_UNCERTAIN)
def test_uncertain_transaction_leaves_the_others_to_a_retry_if_there_is_a_record(on_uncertain):
    outcome = uncertain(CAROL, accepted=(BOB,), unsent=1)
    kept = {
        "fail": ((BOB,), (CAROL,)),
        "resend": ((BOB,), ()),
        "assume_sent": ((BOB, CAROL), ()),
        "ask": ((BOB,), (CAROL,)),
    }[on_uncertain]

    event, concluded, result = rules_for(on_uncertain).conclude(outcome)
    assert (event, concluded) == (Event.DEFERRED, outcome)
    assert (result.accepted, result.uncertain) == kept
    assert rules_for(on_uncertain, has_record=False).event(outcome) is Event.UNCERTAIN


def test_last_transaction_without_a_final_reply_is_concluded_by_on_uncertain():
    events = [rules_for(on_uncertain).event(uncertain(CAROL, accepted=(BOB,))) for on_uncertain in ON_UNCERTAIN]

    assert events == [Event.UNCERTAIN, Event.RESEND, Event.ASSUME_SENT, Event.ASK]
    assert rules_for("resend", has_record=False).event(uncertain(CAROL, accepted=(BOB,))) is Event.UNCERTAIN


@pytest.mark.parametrize(
    ("event", "is_last", "asks"), [("ASK", False, True), ("REJECTED", False, True), ("DEFERRED", True, True)]
)
def test_person_is_asked_about_uncertain_recipients_unless_a_retry_comes_first(event, is_last, asks):
    result = sent(BOB, uncertain=(CAROL,))

    assert rules_for("ask").asks(Event[event], result, is_last=is_last) is asks
    assert not rules_for("ask").asks(Event.DEFERRED, result, is_last=False)
    assert not rules_for("fail").asks(Event[event], result, is_last=is_last)
    assert not rules_for("ask").asks(Event[event], sent(BOB), is_last=is_last)


def test_recipient_who_was_refused_fails_a_message_that_is_assumed_to_be_sent():
    outcome = DeliveryUncertain(
        "who knows", result=sent(uncertain=(BOB,), refused=(Refusal(CAROL, NEVER),), reply=None)
    )
    event, concluded, result = rules_for("assume_sent").conclude(outcome)

    assert event is Event.REJECTED
    assert isinstance(concluded, RecipientsRefused)
    assert (concluded.result, result.accepted) == (result, (BOB,))


def test_uncertain_recipients_of_an_earlier_try_are_in_the_last_error():
    earlier = sent(BOB, uncertain=(CAROL,))
    outcome = over_all_tries(earlier, sent(DAVE), (DAVE,))

    assert isinstance(outcome, DeliveryUncertain)
    assert (outcome.result.accepted, outcome.result.uncertain) == ((BOB, DAVE), (CAROL,))
    assert "uncertain for 1 of 3 recipients: carol@corp.test. The message was delivered to 2." in str(outcome)
    refusal = over_all_tries(earlier, refused((DAVE, NEVER)), (DAVE,))
    assert isinstance(refusal, RecipientsRefused)
    assert str(refusal).startswith("The server refused 1 of 3 recipients: dave@corp.test")
    assert "Delivery is uncertain for carol@corp.test." in str(refusal)


def test_result_that_was_recorded_between_two_transactions_counts_once():
    so_far = sent(BOB)

    assert over_all_tries(so_far, sent(BOB, CAROL), (CAROL,)).accepted == (BOB, CAROL)
    incomplete = DeliveryIncomplete(result=sent(BOB, CAROL), remaining=(DAVE,), cause=Disconnected("gone"))
    broken = over_all_tries(so_far, incomplete, (CAROL, DAVE))
    assert broken.result.accepted == (BOB, CAROL)


def test_result_with_uncertain_recipients_survives_the_record():
    result = sent(BOB, uncertain=(CAROL,))

    assert SendResult.from_json(result.as_json()) == result
    assert "uncertain" not in sent(BOB).as_json()


# --- all tries together


def test_outcome_of_the_first_try_is_the_outcome_of_all():
    for outcome in (sent(BOB), refused((BOB, NEVER)), Disconnected("gone")):
        assert over_all_tries(None, outcome, (BOB,)) is outcome


def test_result_includes_those_of_earlier_tries():
    earlier = sent(BOB, refused=(Refusal(CAROL, LATER),))
    later = sent(CAROL, size=7, reply=Reply(250, ("queued",)))

    assert over_all_tries(earlier, later, (CAROL,)) == sent(BOB, CAROL, size=7, reply=Reply(250, ("queued",)))


def test_recipient_who_was_rejected_in_any_try_is_in_the_last_error():
    earlier = sent(BOB, refused=(Refusal(CAROL, LATER), Refusal(DAVE, NEVER)))
    outcome = over_all_tries(earlier, sent(CAROL), (CAROL,))

    assert isinstance(outcome, RecipientsRefused)
    assert (result_of(outcome).accepted, result_of(outcome).refused) == ((BOB, CAROL), (Refusal(DAVE, NEVER),))
    assert "The server refused 1 of 3 recipients: dave@corp.test: 550 5.1.1 nobody." in str(outcome)
    assert "The message <1@corp.test> was delivered to the other 2." in str(outcome)


def test_recipient_who_is_refused_again_has_the_new_reply():
    earlier = sent(BOB, refused=(Refusal(CAROL, LATER), Refusal(DAVE, NEVER)))
    outcome = over_all_tries(earlier, refused((CAROL, NEVER)), (CAROL,))

    assert result_of(outcome).accepted == (BOB,)
    assert outcome.refused == rejected(outcome.result) == (Refusal(DAVE, NEVER), Refusal(CAROL, NEVER))


@pytest.mark.parametrize("reply", [LATER, NEVER])
def test_other_errors_tell_who_has_the_message_from_an_earlier_try(reply):
    earlier = sent(BOB, refused=(Refusal(CAROL, LATER), Refusal(DAVE, NEVER)))
    outcome = over_all_tries(earlier, Refused("No", reply=reply), (CAROL,))

    assert isinstance(outcome, DeliveryIncomplete)
    assert (outcome.result.accepted, outcome.result.refused) == ((BOB,), (Refusal(DAVE, NEVER),))
    assert (outcome.remaining, outcome.cause.transient, outcome.reply) == ((CAROL,), reply is LATER, reply)
    assert str(outcome) == (
        "The message <1@corp.test> was delivered to 1 of 3 recipients, and not sent to 1, because an error followed: "
        "No. It was delivered to bob@corp.test. It was not sent to carol@corp.test."
    )
    assert result_of(outcome) == outcome.result


def test_other_errors_tell_who_may_have_the_message_from_an_earlier_try():
    outcome = over_all_tries(sent(uncertain=(CAROL,)), Disconnected("gone"), (DAVE,))

    assert "delivered to 0 of 2 recipients" in str(outcome)
    assert "Delivery is uncertain for carol@corp.test. It was not sent to dave@corp.test." in str(outcome)


def test_other_errors_of_the_first_try_have_no_result():
    assert result_of(Disconnected("gone")) is None
