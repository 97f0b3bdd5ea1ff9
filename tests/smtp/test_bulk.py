"""Many messages in bulk: each has the outcome it would have alone, in order; none is lost or sent twice."""

from __future__ import annotations

import asyncio
import gc

import pytest

from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.bulk import Bulk
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.content_transfer import INLINE_LIMIT
from airflow_smtp_cm.smtp.errors import (
    ConnectError,
    DeliveryIncomplete,
    DeliveryUncertain,
    Disconnected,
    MessageError,
    RecipientsRefused,
    RecordError,
    Refused,
    SmtpError,
)
from airflow_smtp_cm.smtp.group_limits import GROUP, GROUP_BYTES
from airflow_smtp_cm.smtp.result import SendResult
from airflow_smtp_cm.smtp.settings import Settings
from tests.servers.postfix import SIZE_LIMIT
from tests.servers.processes import LOOPBACK
from tests.servers.scripted import expect, expect_bytes, expect_content, reset, say, scripted_peer
from tests.smtp.clock import Clock
from tests.smtp.driver import END, Breaks, Driver
from tests.smtp.outgoing import Note, RecordedNote
from tests.smtp.scripts import wait_until_the_peer_has_closed

OK = ("250 r", "250 m", "250 t", "250 2.0.0 f")  # to RSET, MAIL, RCPT, BDAT


class Blocking:
    """A function that opens a session, sends all messages and returns the outcomes; ``client`` is its client.

    ``outcomes`` are those so far.
    """

    def __call__(self, settings, messages, **options):
        self.outcomes = []
        with SmtpClient.open(settings) as self.client:
            for outcome in self.client.send_all(messages, **options):
                self.outcomes.append(outcome)
        return self.outcomes


class OnAsyncio:
    """The same with the asyncio client."""

    def __call__(self, settings, messages, **options):
        async def main():
            async with await AsyncSmtpClient.open(settings) as self.client:
                async for outcome in self.client.send_all(messages, **options):
                    self.outcomes.append(outcome)

        self.outcomes = []
        asyncio.run(main())
        return self.outcomes


@pytest.fixture(params=[Blocking, OnAsyncio], ids=["blocking", "asyncio"])
def send_all(request):
    """Both clients."""
    return request.param()


def kinds(outcomes):
    return [type(outcome) for outcome in outcomes]


# --- against Postfix

MIXED = {
    "bob@corp.test": SendResult,
    "refused@corp.test": RecipientsRefused,
    "first@corp.test": SendResult,
    "later@corp.test": RecipientsRefused,
    "last@corp.test": SendResult,
}


@pytest.mark.parametrize(
    ("port", "chunking"),
    [("default", False), ("default", True), ("no_pipelining", False), ("no_pipelining", True), ("bare", False)],
)
def test_every_message_has_the_outcome_it_would_have_alone(postfix, submission, send_all, port, chunking):
    """Some are refused, for all or some recipients or during the content; one is large, and one cannot be sent."""
    messages = [
        *(Note((address,)) for address in MIXED),
        Note(("bob@corp.test", "refused@corp.test")),
        Note(("bob@corp.test",), sender="blocked@corp.test"),
        Note(("bob@corp.test",), text="0123456789 " * 9 + "\r\n" + "x\r\n" * INLINE_LIMIT),
        Note(()),
        Note(("bob@corp.test",)),
    ]
    outcomes = send_all(submission(postfix.port(port), chunking=chunking), messages)

    assert kinds(outcomes) == [*MIXED.values(), RecipientsRefused, Refused, SendResult, MessageError, SendResult]
    accepted = [
        outcome.result if isinstance(outcome, RecipientsRefused) else outcome
        for outcome in outcomes
        if isinstance(outcome, SendResult | RecipientsRefused)
    ]
    for result in filter(None, accepted):
        (user,) = {address.partition("@")[0] for address in result.accepted}
        postfix.wait_for_message(result.message_id, user=user)
        assert postfix.copies(user)[result.message_id] == 1
    sent = {result.message_id for result in filter(None, accepted)}
    arrived = {*postfix.copies("bob"), *postfix.copies("first"), *postfix.copies("last")}
    assert arrived & {message.message_id for message in messages} == sent


@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
def test_if_the_server_ends_the_session_after_many_errors_the_rest_is_sent_in_another(
    postfix, submission, send_all, chunking
):
    messages = [Note(("refused@corp.test" if number % 2 else "bob@corp.test",)) for number in range(60)]
    outcomes = send_all(submission(postfix.port("few_errors"), chunking=chunking), messages)

    assert kinds(outcomes) == [SendResult, RecipientsRefused] * 30
    sent = [message.message_id for message in messages[::2]]
    postfix.wait_until_idle()
    copies = postfix.copies()
    assert [copies[message_id] for message_id in sent] == [1] * 30


def test_a_message_that_is_too_large_does_not_affect_the_next(postfix, submission, send_all):
    large = Note(("bob@corp.test",), text="0123456789\r\n" * (SIZE_LIMIT // 10))
    for port in ("small", "small_unannounced"):
        outcomes = send_all(submission(postfix.port(port)), [Note(), large, Note()])

        assert [isinstance(outcome, SendResult) for outcome in outcomes] == [True, False, True]


# --- with a server that ends the session


def greeting(*extensions):
    return [
        say("220 hi"),
        expect("EHLO"),
        say(*[f"250-{extension}" for extension in ("me", *extensions)], "250 8BITMIME"),
    ]


def settings(peer):
    return Settings(host=LOOPBACK, port=peer.port, chunking=True)


def taken(note, *replies):
    """Return the steps that accept a message with BDAT, with these replies, or with positive ones."""
    size = note.content(eight_bit=True, binary=False, utf8=False).size
    return [
        *(expect("RSET"), expect("MAIL"), expect("RCPT"), expect(f"BDAT {size} LAST"), expect_bytes(size)),
        *([say(*replies)] if replies else []),
    ]


CHUNKING = greeting("PIPELINING", "CHUNKING")


def test_a_session_that_ends_with_421_is_followed_by_another_and_nothing_is_sent_twice(send_all):
    notes = [Note() for _ in range(6)]
    first = [step for note in notes[:6] for step in taken(note)]
    second = [step for note in notes[2:] for step in taken(note, *OK)]
    with scripted_peer(
        [*CHUNKING, *first, say(*OK, *OK, "250 r", "421 4.7.0 two messages a session")],
        [*CHUNKING, *second, expect("QUIT")],
        to_the_end=False,
    ) as peer:
        outcomes = send_all(settings(peer), notes)

    assert [outcome.message_id for outcome in outcomes] == [note.message_id for note in notes]
    assert kinds(outcomes) == [SendResult] * 6


def large_note():
    return Note(text="0123456789\r\n" * (INLINE_LIMIT // 10))


def taken_alone(note):
    """Return the steps that accept a large message with BDAT."""
    size = note.content(eight_bit=True, binary=False, utf8=False).size
    envelope = [expect("MAIL"), expect("RCPT"), say("250 m", "250 t")]
    return [*envelope, expect(f"BDAT {size} LAST"), expect_bytes(size)]


def test_messages_stay_in_order_if_the_session_ends_before_a_large_one(send_all):
    notes = [Note(), Note(), large_note()]
    first = [*taken(notes[0]), *taken(notes[1]), say(*OK, "421 4.7.0 one message a session")]
    second = [*taken(notes[1], *OK), *taken_alone(notes[2]), say("250 f"), expect("QUIT")]
    with scripted_peer([*CHUNKING, *first], [*CHUNKING, *second], to_the_end=False) as peer:
        outcomes = send_all(settings(peer), notes)

    assert [outcome.message_id for outcome in outcomes] == [note.message_id for note in notes]


def test_messages_stay_in_order_if_the_session_ends_before_a_large_one_sent_with_data(send_all):
    notes = [Note(), Note(), large_note()]
    envelope = [expect("MAIL"), expect("RCPT"), expect("DATA")]
    go_ahead = ("250 m", "250 t", "354 go")
    first = [*envelope, say(*go_ahead), expect_content(), *envelope, say("250 f", *go_ahead, "421 4.7.0 bye")]
    second = [*envelope, say(*go_ahead), expect_content(), say("250 f"), *envelope, say(*go_ahead), expect_content()]
    with scripted_peer(
        [*greeting("PIPELINING"), *first],
        [*greeting("PIPELINING"), *second, say("250 f"), expect("QUIT")],
        to_the_end=False,
    ) as peer:
        outcomes = send_all(settings(peer), notes)

    assert [outcome.message_id for outcome in outcomes] == [note.message_id for note in notes]


def test_a_group_is_sent_over_another_session_if_the_session_ends_before_it(send_all):
    notes = [large_note(), Note(), Note()]
    first = [*taken_alone(notes[0]), say("250 f", "421 4.7.0 one message a session")]
    second = [*taken(notes[1]), *taken(notes[2]), say(*OK, *OK), expect("QUIT")]
    with scripted_peer([*CHUNKING, *first], [*CHUNKING, *second], to_the_end=False) as peer:
        outcomes = send_all(settings(peer), notes)

    assert [outcome.message_id for outcome in outcomes] == [note.message_id for note in notes]


def test_messages_that_were_sent_are_uncertain_if_the_connection_breaks(send_all):
    notes = [Note() for _ in range(4)]
    first = [step for note in notes for step in taken(note)]
    with scripted_peer(
        [*CHUNKING, *first, say(*OK, "250 r", "550 5.7.1 no", "503 no", "503 no"), say("250 r"), reset()]
    ) as peer:
        outcomes = send_all(settings(peer), notes)

    assert kinds(outcomes) == [SendResult, Refused, DeliveryUncertain, DeliveryUncertain]
    assert [notes[number].message_id in str(outcomes[number]) for number in (2, 3)] == [True, True]


def test_messages_that_were_not_sent_are_sent_over_another_session(send_all):
    """Two groups are uncertain, the third is sent over a new session."""
    notes = [Note() for _ in range(3 * GROUP)]
    first = [step for note in notes[: 2 * GROUP] for step in taken(note)]
    second = [step for note in notes[2 * GROUP :] for step in taken(note, *OK)]
    with scripted_peer([*CHUNKING, *first, reset()], [*CHUNKING, *second, expect("QUIT")], to_the_end=False) as peer:
        outcomes = send_all(settings(peer), notes)

    assert kinds(outcomes) == [DeliveryUncertain] * (2 * GROUP) + [SendResult] * GROUP


def test_421_instead_of_the_final_reply_makes_one_message_uncertain(send_all):
    notes = [Note() for _ in range(3)]
    first = [step for note in notes for step in taken(note)]
    second = [step for note in notes[1:] for step in taken(note, *OK)]
    with scripted_peer(
        [*CHUNKING, *first, say(*OK[:3], "421 4.3.0 going down")],
        [*CHUNKING, *second, expect("QUIT")],
        to_the_end=False,
    ) as peer:
        outcomes = send_all(settings(peer), notes)

    assert kinds(outcomes) == [DeliveryUncertain, SendResult, SendResult]


def test_a_server_that_accepts_no_message_ends_the_iteration(send_all):
    """Otherwise, session after session would be opened without an end."""
    notes = [Note() for _ in range(3)]
    scripts = [[*CHUNKING, *taken(note), say("250 r", "421 4.7.0 not today")] for note in notes[:2]]
    with (
        scripted_peer(*scripts, to_the_end=False) as peer,
        pytest.raises(Refused, match=r"421 4\.7\.0 not today"),
    ):
        send_all(settings(peer), notes)
    assert kinds(send_all.outcomes) == [Refused]  # of the first message


def test_a_server_that_is_unreachable_ends_the_iteration(send_all):
    notes = [Note() for _ in range(3)]
    first = [step for note in notes for step in taken(note)]
    with (
        scripted_peer([*CHUNKING, *first, say(*OK, "250 r", "421 bye")], to_the_end=False) as peer,
        pytest.raises(ConnectError),
    ):
        send_all(settings(peer), notes)


def test_with_data_the_next_envelope_is_sent_with_the_content(send_all):
    turn = [expect("MAIL"), expect("RCPT"), expect("DATA")]
    with scripted_peer(
        [
            *(*greeting("PIPELINING"), *turn, say("250 m", "250 t", "354 go")),
            *(expect_content(), *turn, say("250 f", "250 m", "550 5.1.1 nobody", "503 no")),
            *(expect("RSET"), say("250 r"), *turn, say("250 m", "250 t", "354 go")),
            *(expect_content(), say("250 f"), expect("QUIT")),
        ],
        to_the_end=False,
    ) as peer:
        outcomes = send_all(settings(peer), [Note(), Note(), Note()])

    assert kinds(outcomes) == [SendResult, RecipientsRefused, SendResult]


def test_with_data_at_most_one_message_is_uncertain(send_all):
    notes = [Note() for _ in range(3)]
    turn = [expect("MAIL"), expect("RCPT"), expect("DATA")]
    content = [expect_content(), *turn]
    rest = [*turn, say("250 m", "250 t", "354 go"), expect_content()]
    with scripted_peer(
        [*greeting("PIPELINING"), *turn, say("250 m", "250 t", "354 go"), *content, reset()],
        [
            *greeting("PIPELINING"),
            *rest,
            *turn,
            say("250 f", "250 m", "250 t", "354 go"),
            expect_content(),
            say("250 f"),
        ],
        to_the_end=False,
    ) as peer:
        outcomes = send_all(settings(peer), notes)

    assert kinds(outcomes) == [DeliveryUncertain, SendResult, SendResult]


def in_bulk(driver, notes, *answers, chunking=True):
    """Send messages through the driver in one session; return the bulk."""
    session = driver.opened("PIPELINING", "CHUNKING", chunking=chunking)
    bulk = Bulk(notes, all_or_nothing=False)
    driver.run(session.send_all(bulk), *answers)
    return bulk


@pytest.mark.parametrize("count", [1, 2, 5])
def test_with_data_each_message_costs_one_round_trip(driver, count):
    """The first envelope has its own; with BDAT, a group of messages is one write."""
    go = "250 m\n250 t\n354 go"
    in_bulk(driver, [Note() for _ in range(count)], go, *[f"250 f\n{go}"] * (count - 1), "250 f", chunking=False)

    assert kinds(driver.outcomes) == [SendResult] * count
    assert len(driver.writes) == count + 1


@pytest.mark.parametrize("count", [1, 5, GROUP])
def test_with_bdat_a_group_of_messages_costs_one_round_trip(driver, count):
    in_bulk(driver, [Note() for _ in range(count)], "\n".join(OK * count))

    assert kinds(driver.outcomes) == [SendResult] * count
    assert len(driver.writes) == 1


def test_with_data_the_next_message_is_prepared_while_the_server_works(driver):
    """After the write, and before its replies are read; it is not recorded before its envelope is sent."""
    log = []

    class Logged(RecordedNote):
        def content(self, **extensions):
            log.append(f"prepared {self.sender}")
            return super().content(**extensions)

        def record_sending(self, recipients, size):
            del recipients, size
            log.append(f"recorded {self.sender}")

    def reply(data, *lines):
        def answer(_):
            log.append(data)
            return "\n".join(lines)

        return answer

    go = ("250 m", "250 t", "354 go")
    in_bulk(
        driver,
        [Logged(sender=f"{number}@b.test") for number in (1, 2, 3)],
        *(reply("envelope 1", *go), reply("content 1, envelope 2", "250 f", *go)),
        *(reply("content 2, envelope 3", "250 f", *go), reply("content 3", "250 f")),
        chunking=False,
    )
    assert log == [
        *("prepared 1@b.test", "recorded 1@b.test", "envelope 1", "prepared 2@b.test"),
        *("recorded 2@b.test", "content 1, envelope 2", "prepared 3@b.test"),
        *("recorded 3@b.test", "content 2, envelope 3", "content 3"),
    ]


def test_with_data_a_prepared_message_is_sent_over_another_session_in_its_order(driver):
    notes = [Note() for _ in range(4)]
    go = "250 m\n250 t\n354 go"
    bulk = in_bulk(driver, notes, go, f"250 f\n{go}", "421 bye", chunking=False)
    assert kinds(driver.outcomes) == [SendResult, DeliveryUncertain]

    again = Driver()
    again.run(again.opened("PIPELINING").send_all(bulk), go, f"250 f\n{go}", "250 f")
    assert [outcome.message_id for outcome in again.outcomes] == [note.message_id for note in notes[2:]]


def test_an_error_of_the_iterator_is_raised_after_the_messages_that_are_sent_over_another_session(driver):
    notes = [Note() for _ in range(2)]

    def source():
        yield from notes
        raise LookupError("no more rows")

    bulk = in_bulk(driver, source(), "250 m\n250 t\n354 go", "250 f\n421 bye", chunking=False)
    assert kinds(driver.outcomes) == [SendResult]

    again = Driver()
    with pytest.raises(LookupError, match="no more rows"):
        again.run(again.opened("PIPELINING").send_all(bulk), "250 m\n250 t\n354 go", "250 f")
    assert [outcome.message_id for outcome in again.outcomes] == [notes[1].message_id]


def test_a_group_whose_write_failed_is_sent_over_another_session(driver):
    """Its first replies are those to the group before it."""
    notes = [Note() for _ in range(GROUP + 1)]
    bulk = in_bulk(driver, notes, (), Breaks("\n".join(OK * GROUP)))

    assert kinds(driver.outcomes) == [SendResult] * GROUP
    again = Driver()
    again.run(again.opened("PIPELINING", "CHUNKING", chunking=True).send_all(bulk), "\n".join(OK))
    assert [outcome.message_id for outcome in again.outcomes] == [notes[-1].message_id]


# --- more recipients than the server accepts at once

THREE = ("ann@b.test", "bob@b.test", "cleo@b.test")
TOO_MANY = "452 4.5.3 Too many recipients"
PARTLY = ("250 m", "250 a", TOO_MANY, TOO_MANY)


@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
def test_a_message_is_finished_before_the_next_one(driver, chunking):
    """With BDAT, the replies to all messages in flight are read first."""
    notes = [Note(), Note(recipients=THREE), Note()]
    if chunking:
        answers = [(*OK, "250 r", *PARTLY, "250 f", *OK), ("250 m", "250 b", "250 f"), ("250 m", "250 c", "250 f")]
    else:
        go = ("250 m", "250 t", "354 go")
        rest = [step for name in ("b", "c") for step in (("250 m", f"250 {name}", "354 go"), ("250 f",))]
        answers = [go, ("250 f", *PARTLY, "354 go"), ("250 f",), *rest, go, ("250 f",)]
    in_bulk(driver, notes, *map("\n".join, answers), chunking=chunking)

    assert kinds(driver.outcomes) == [SendResult] * 3
    assert [outcome.message_id for outcome in driver.outcomes] == [note.message_id for note in notes]
    assert driver.outcomes[1].accepted == THREE


@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
def test_recipients_who_were_not_offered_get_the_message_before_the_next_one(driver, monkeypatch, chunking):
    monkeypatch.setattr("airflow_smtp_cm.smtp.envelope.MOST_RECIPIENTS", 2)
    notes = [Note(recipients=THREE), Note()]
    if chunking:
        answers = [("250 r", "250 m", "250 a", "250 b", "250 f", *OK), ("250 m", "250 c", "250 f")]
    else:
        go = ("250 m", "250 t", "354 go")
        answers = [("250 m", "250 a", "250 b", "354 go"), ("250 f",), go, ("250 f",), go, ("250 f",)]
    in_bulk(driver, notes, *map("\n".join, answers), chunking=chunking)

    assert [outcome.message_id for outcome in driver.outcomes] == [note.message_id for note in notes]
    assert driver.outcomes[0].accepted == THREE


def test_after_a_refused_message_what_is_sent_alone_begins_with_rset(driver):
    """Else the server, which may still have the envelope of the refused one, refuses MAIL: "nested MAIL command"."""
    refused = ("250 r", "250 m", "550 nobody", "503 no recipients")
    large = Note(text="0123456789\r\n" * (INLINE_LIMIT // 10))
    notes = [Note(recipients=THREE[:2]), Note(), Note(), large]
    answers = [
        ("250 r", "250 m", "250 a", "452 4.5.3 too many", "250 f", *refused, *refused),
        ("250 r",),  # then the rest of the first message
        ("250 m", "250 b", "250 f"),
        ("250 m", "250 t"),  # the large one
    ]
    in_bulk(driver, notes, *map("\n".join, answers), lambda data: "250 f" if data.endswith(b"9\r\n") else None)

    assert kinds(driver.outcomes) == [SendResult, RecipientsRefused, RecipientsRefused, SendResult]
    assert driver.outcomes[0].accepted == THREE[:2]


def test_before_a_large_message_a_refused_one_is_cleared(driver):
    large = Note(text="0123456789\r\n" * (INLINE_LIMIT // 10))
    answers = [("250 r", "250 m", "550 nobody", "503 no recipients"), ("250 r",), ("250 m", "250 t")]
    in_bulk(
        driver, [Note(), large], *map("\n".join, answers), lambda data: "250 f" if data.endswith(b"9\r\n") else None
    )

    assert kinds(driver.outcomes) == [RecipientsRefused, SendResult]
    assert [write for write in driver.writes if write == b"RSET\r\n"] == [b"RSET\r\n"]


def test_if_the_session_breaks_the_recipients_who_have_the_message_are_known(driver):
    """The message is not sent again over another session; those after it are uncertain."""
    notes = [Note(), Note(recipients=THREE), Note(), Note()]
    replies = "\n".join((*OK, "250 r", *PARTLY, "250 f", *OK))
    in_bulk(driver, notes, (replies, END))

    assert kinds(driver.outcomes) == [SendResult, DeliveryIncomplete, SendResult, DeliveryUncertain]
    assert "closed the connection instead of answering RSET" in str(driver.outcomes[1])
    assert (driver.outcomes[1].result.accepted, driver.outcomes[1].remaining) == (THREE[:1], THREE[1:])


GO = "250 m\n250 t\n354 go"
SESSION_ENDS = {
    "lost": [END],
    "421": ["421 4.3.2 bye"],
    "451 4.4.2": ["451 4.4.2 too long\n503 t\n503 d", "250 r", "221 bye"],
}


@pytest.mark.parametrize("end", SESSION_ENDS)
def test_if_the_session_ends_between_two_transactions_the_rest_is_sent_over_another(driver, end):
    """Before the next message, though that one was prepared before."""
    notes = [RecordedNote(recipients=THREE), Note()]
    bulk = in_bulk(driver, notes, "\n".join((*PARTLY, "354 go")), "250 f", *SESSION_ENDS[end], chunking=False)
    assert driver.outcomes == []

    again = Driver()
    rest = "250 m\n250 b\n250 c\n354 go"
    again.run(again.opened("PIPELINING").send_all(bulk), rest, f"250 f\n{GO}", "250 f")
    assert [outcome.message_id for outcome in again.outcomes] == [note.message_id for note in notes]
    assert again.outcomes[0].accepted == THREE
    assert b"".join(again.writes).count(b"RCPT TO:<ann") == 0
    size = again.outcomes[0].size
    before = [("sending", THREE, size), ("sending", THREE[:1], size), ("accepted", THREE[:1])]
    assert notes[0].log == [*before, ("sending", THREE[1:], size)]


def test_a_message_may_need_many_sessions(driver):
    """Each accepts some of its recipients, so none is in vain."""
    note = RecordedNote(recipients=THREE)
    bulk = in_bulk(driver, [note], "\n".join((*PARTLY, "354 go")), "250 f", END, chunking=False)
    second, third = Driver(), Driver()
    second.run(
        second.opened("PIPELINING").send_all(bulk), f"250 m\n250 b\n{TOO_MANY}\n354 go", "250 f", "421 4.3.2 bye"
    )
    assert second.outcomes == []
    third.run(third.opened("PIPELINING").send_all(bulk), GO, "250 f")
    assert [outcome.accepted for outcome in third.outcomes] == [THREE]
    assert ("accepted", THREE[:2]) in note.log


def test_with_bdat_the_rest_is_sent_over_another_session_if_no_later_message_is_in_flight(driver):
    bulk = in_bulk(driver, [Note(recipients=THREE), Note()], "\n".join(("250 r", *PARTLY, "250 f", *OK)), "421 bye")
    assert kinds(driver.outcomes) == [DeliveryIncomplete, SendResult]  # sent again, it would come after the other

    alone = Driver()
    bulk = in_bulk(alone, [Note(recipients=THREE)], "\n".join(("250 r", *PARTLY, "250 f")), "421 bye")
    again = Driver()
    again.run(
        again.opened("PIPELINING", "CHUNKING", chunking=True).send_all(bulk), "250 r\n250 m\n250 b\n250 c\n250 f"
    )
    assert [outcome.accepted for outcome in again.outcomes] == [THREE]


def test_if_the_rest_ends_its_session_too_its_outcome_tells_who_has_the_message(driver):
    notes = [Note(recipients=THREE), Note()]
    bulk = in_bulk(driver, notes, "\n".join((*PARTLY, "354 go")), "250 f", END, chunking=False)
    second, third = Driver(), Driver()
    second.run(second.opened("PIPELINING").send_all(bulk), "421 bye")
    (outcome,) = second.outcomes
    assert isinstance(outcome, DeliveryIncomplete)
    assert (outcome.result.accepted, outcome.remaining) == (THREE[:1], THREE[1:])
    third.run(third.opened("PIPELINING").send_all(bulk), GO, "250 f")
    assert [outcome.message_id for outcome in third.outcomes] == [notes[1].message_id]


def test_if_no_session_can_be_opened_for_the_rest_its_outcome_tells_who_has_the_message(send_all):
    first = [expect("MAIL"), *[expect("RCPT")] * 3, expect("DATA"), say(*PARTLY, "354 go"), expect_content()]
    with (
        scripted_peer([*greeting("PIPELINING"), *first, say("250 f"), expect("MAIL"), reset()]) as peer,
        pytest.raises(ConnectError),
    ):
        send_all(settings(peer), [Note(recipients=THREE), Note()])
    (outcome,) = send_all.outcomes
    assert (type(outcome), outcome.result.accepted, outcome.remaining) == (DeliveryIncomplete, THREE[:1], THREE[1:])


@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
def test_if_the_first_recipients_are_refused_the_others_get_the_message_before_the_next_one(
    driver, monkeypatch, chunking
):
    monkeypatch.setattr("airflow_smtp_cm.smtp.envelope.MOST_RECIPIENTS", 2)
    nobody = ("250 m", "550 a", "550 b", "503 no")
    if chunking:
        answers = [("250 r", *nobody, *OK), ("250 m", "250 c", "250 f")]
    else:
        answers = [nobody, ("250 r",), ("250 m", "250 c", "354 go"), ("250 f",), (GO,), ("250 f",)]
    notes = [Note(recipients=THREE), Note()]
    in_bulk(driver, notes, *map("\n".join, answers), chunking=chunking)

    assert kinds(driver.outcomes) == [RecipientsRefused, SendResult]
    assert driver.outcomes[0].result.accepted == THREE[2:]


def test_a_session_that_ends_after_refusals_leaves_the_messages_in_order(driver, monkeypatch):
    monkeypatch.setattr("airflow_smtp_cm.smtp.envelope.MOST_RECIPIENTS", 2)
    notes = [Note(), Note(recipients=THREE), Note()]
    nobody = "250 m\n550 a\n550 b\n503 no"
    bulk = in_bulk(driver, notes, GO, f"250 f\n{nobody}", "250 r", "421 too many errors", chunking=False)
    again = Driver()
    again.run(
        again.opened("PIPELINING").send_all(bulk), nobody, "250 r", "250 m\n250 c\n354 go", "250 f", GO, "250 f"
    )

    assert kinds([*driver.outcomes, *again.outcomes]) == [SendResult, RecipientsRefused, SendResult]
    assert again.outcomes[0].result.accepted == THREE[2:]


# --- with a server that ends the session by a reply

SESSION_OVER = [
    "451 4.4.2 Session timed out",
    "452 4.4.5 Too many messages in this session",
    "454 4.7.0 too many messages",
]
OFFERS = {"DATA": ("PIPELINING",), "BDAT": ("PIPELINING", "CHUNKING"), "no pipelining": ()}


def one(*offer, mail="250 m", final="250 f"):
    """Return the steps of a message that is sent alone; without ``final``, MAIL is refused."""
    envelope = [expect("MAIL"), expect("RCPT"), expect("DATA")]
    if "PIPELINING" not in offer:
        if not final:
            return [envelope[0], say(mail), expect("RSET"), say("250 r")]
        rcpt = [envelope[1], say("250 t"), envelope[2], say("354 go")]
        return [envelope[0], say(mail), *rcpt, expect_content(), say(final)]
    if not final:
        return [*envelope, say(mail, "503 t", "503 d"), expect("RSET"), say("250 r")]
    return [*envelope, say(mail, "250 t", "354 go"), expect_content(), say(final)]


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("reply", SESSION_OVER)
@pytest.mark.parametrize("offer", [(), ("PIPELINING",)])
def test_a_message_that_is_refused_with_the_session_is_sent_in_another(send_all, offer, reply, closes):
    notes = [Note() for _ in range(4)]
    end = [] if closes else [expect("QUIT"), say("221 bye")]
    if offer:  # the envelope of the second message is sent with the content of the first
        second = [expect("MAIL"), expect("RCPT"), expect("DATA")]
        first = [*one(*offer)[:-1], *second, say("250 f", reply, "503 t", "503 d"), expect("RSET"), say("250 r")]
        turn = [say("250 f", "250 m", "250 t", "354 go"), expect_content()]
        rest = [*one(*offer)[:-1], *second, *turn, *second, *turn, say("250 f")]
    else:
        first, rest = [*one(), *one(mail=reply, final=None)], one() * 3
    with scripted_peer(
        [*greeting(*offer), *first, *end], [*greeting(*offer), *rest, expect("QUIT")], to_the_end=False
    ) as peer:
        outcomes = send_all(settings(peer), notes)

    assert [outcome.message_id for outcome in outcomes] == [note.message_id for note in notes]


@pytest.mark.parametrize("reply", SESSION_OVER)
def test_a_message_whose_content_is_refused_with_the_session_is_sent_in_another(send_all, reply):
    """The envelope of the next one has left; it is sent in the other session, too, and after it."""
    notes = [Note() for _ in range(3)]
    offer = ("PIPELINING",)
    envelope = [expect("MAIL"), expect("RCPT"), expect("DATA")]
    turn = [say("250 f", "250 m", "250 t", "354 go"), expect_content()]
    first = [*one(*offer)[:-1], *envelope, *turn, *envelope, say(reply, "250 m", "250 t", "354 go")]
    second = [*one(*offer)[:-1], *envelope, *turn, say("250 f"), expect("QUIT")]
    with scripted_peer([*greeting(*offer), *first], [*greeting(*offer), *second], to_the_end=False) as peer:
        outcomes = send_all(settings(peer), notes)

    assert [outcome.message_id for outcome in outcomes] == [note.message_id for note in notes]


@pytest.mark.parametrize("reply", SESSION_OVER)
def test_messages_of_a_group_that_are_refused_with_the_session_are_sent_in_another(send_all, reply):
    notes = [Note() for _ in range(4)]
    first = [step for note in notes for step in taken(note)]
    second = [step for note in notes[2:] for step in taken(note, *OK)]
    refused = ("250 r", reply, "503 t", "503 f")
    refused_at_the_end = ("250 r", "250 m", "250 t", reply)
    with scripted_peer(
        [*CHUNKING, *first, say(*OK, *OK, *refused, *refused_at_the_end), expect("QUIT"), say("221 bye")],
        [*CHUNKING, *second, expect("QUIT")],
        to_the_end=False,
    ) as peer:
        outcomes = send_all(settings(peer), notes)

    assert [outcome.message_id for outcome in outcomes] == [note.message_id for note in notes]


def test_a_message_that_is_refused_with_the_session_keeps_its_reply_if_later_ones_were_accepted(send_all):
    """Sent again, it would come after them."""
    notes = [Note() for _ in range(3)]
    script = [step for note in notes for step in taken(note)]
    refused = ("250 r", SESSION_OVER[1], "503 t", "503 f")
    with scripted_peer([*CHUNKING, *script, say(*OK, *refused, *OK), expect("QUIT")], to_the_end=False) as peer:
        outcomes = send_all(settings(peer), notes)

    assert kinds(outcomes) == [SendResult, Refused, SendResult]


@pytest.mark.parametrize("reply", SESSION_OVER)
@pytest.mark.parametrize("offer", OFFERS)
def test_two_sessions_that_are_refused_before_any_message_end_the_iteration(send_all, offer, reply):
    """Otherwise, session after session would be opened, one for each message."""
    extensions = OFFERS[offer]
    notes = [Note() for _ in range(3)]
    first = second = one(*extensions, mail=reply, final=None)
    if offer == "BDAT":
        refused = ["250 r", reply, "503 t", "503 f"]
        first = [*(step for note in notes for step in taken(note)), say(*refused * 3)]
        second = [*(step for note in notes[1:] for step in taken(note)), say(*refused * 2)]
    end = [expect("QUIT"), say("221 bye")]
    with (
        scripted_peer(*([*greeting(*extensions), *part, *end] for part in (first, second)), to_the_end=False) as peer,
        pytest.raises(Refused, match=reply),
    ):
        send_all(settings(peer), notes)
    assert kinds(send_all.outcomes) == [Refused]


@pytest.mark.parametrize("offer", [(), ("PIPELINING",)])
def test_a_message_that_always_ends_its_session_does_not_block_those_after_it(send_all, offer):
    """It is deferred; each of the others is sent once."""
    notes = [Note() for _ in range(4)]
    over = "451 4.4.2 Timeout waiting for the content filter"
    turn = [say("250 f", "250 m", "250 t", "354 go"), expect_content()]
    if offer:
        envelope = [expect("MAIL"), expect("RCPT"), expect("DATA")]
        start = [*envelope, say("250 m", "250 t", "354 go"), expect_content()]
        first = [*start, *envelope, *turn, *envelope, say(over)]  # the second is refused
        second = [*start, *envelope, say(over)]  # again
        third = [*start, *envelope, *turn, say("250 f")]
    else:
        first, second, third = [*one(), *one(final=over)], one(final=over), one() * 2
    scripts = [[*greeting(*offer), *part] for part in (first, second, [*third, expect("QUIT")])]
    with scripted_peer(*scripts, to_the_end=False) as peer:
        outcomes = send_all(settings(peer), notes)

    assert kinds(outcomes) == [SendResult, Refused, SendResult, SendResult]
    assert outcomes[1].transient
    assert [outcomes[number].message_id for number in (0, 2, 3)] == [notes[number].message_id for number in (0, 2, 3)]


def test_a_message_whose_envelope_breaks_the_first_session_is_deferred(driver):
    notes = [Note() for _ in range(2)]
    bulk = in_bulk(driver, notes, END, chunking=False)
    again = Driver()
    again.run(again.opened("PIPELINING").send_all(bulk), "250 m\n250 t\n354 go", "250 f")

    (broken,), (sent,) = driver.outcomes, again.outcomes
    assert broken.transient
    assert sent.message_id == notes[1].message_id


# --- the iterator of messages, and the iterator of outcomes


def test_messages_are_taken_from_the_iterator_when_they_are_needed(postfix, submission):
    taken_from, given = [], []

    def notes():
        for number in range(10 * GROUP):
            taken_from.append(number)
            yield Note()

    with SmtpClient.open(submission(postfix.port(), chunking=True)) as client:
        for outcome in client.send_all(notes()):
            given.append(outcome)
            assert len(taken_from) - len(given) <= 2 * GROUP + 1

    assert kinds(given) == [SendResult] * (10 * GROUP)


def test_a_group_is_bounded_in_bytes(postfix, submission):
    ahead = []

    def notes():
        for _ in range(GROUP):
            ahead.append(len(ahead))
            yield Note(text="x" * 900 + "\r\n" * 1 + ("y" * 900 + "\r\n") * (INLINE_LIMIT // 1000))

    with SmtpClient.open(submission(postfix.port(), chunking=True)) as client:
        next(outcomes := client.send_all(notes()))
        assert len(ahead) <= 2 * (GROUP_BYTES // (INLINE_LIMIT * 9 // 10) + 1) + 1
        list(outcomes)


def test_an_error_of_the_iterator_is_raised_after_the_earlier_outcomes(postfix, submission):
    def notes():
        yield Note()
        yield Note()
        raise LookupError("no more rows")

    outcomes = []
    with SmtpClient.open(submission(postfix.port())) as client:
        with pytest.raises(LookupError, match="no more rows"):
            outcomes.extend(client.send_all(notes()))
        assert kinds(outcomes) == [SendResult, SendResult]
        client.send(Note())


def test_if_the_caller_stops_early_the_session_ends_and_another_can_be_used(postfix, submission):
    with SmtpClient.open(submission(postfix.port())) as client:
        outcomes = client.send_all(Note() for _ in range(5))
        assert isinstance(next(outcomes), SendResult)
        outcomes.close()
        assert "closed" in repr(client)
        assert isinstance(client.send(Note()), SendResult)
    gc.collect()


def test_without_messages_nothing_is_sent(send_all):
    with scripted_peer([*CHUNKING, expect("QUIT")], to_the_end=False) as peer:
        assert send_all(settings(peer), []) == []


def test_all_or_nothing_applies_to_each_message(postfix, submission, send_all):
    messages = [Note(("bob@corp.test", "refused@corp.test")), Note()]
    outcomes = send_all(submission(postfix.port()), messages, all_or_nothing=True)

    assert kinds(outcomes) == [RecipientsRefused, SendResult]
    assert outcomes[0].result is None


def test_a_message_that_the_site_rejects_is_an_outcome(postfix, submission, send_all):
    def policy(message):
        if "eve@evil.test" in message.recipients:
            raise ValueError("not to eve@evil.test")
        return message

    outcomes = send_all(submission(postfix.port(), message_policy=policy), [Note(), Note(("eve@evil.test",)), Note()])

    assert kinds(outcomes) == [SendResult, MessageError, SendResult]
    assert isinstance(outcomes[1], SmtpError)
    assert Disconnected not in kinds(outcomes)


# --- rates and limits


@pytest.fixture
def clock(monkeypatch, send_all):
    """A clock that advances when a client sleeps, and records its pauses.

    If ``sessions_end`` is set, the server ends the session in every pause.
    """
    clock = Clock()
    clock.pauses = []
    clock.sessions_end = False

    asyncio_sleep = asyncio.sleep

    def passes(seconds):
        clock.pauses.append(round(seconds, 3))
        clock.now += seconds

    def sleep(seconds):
        passes(seconds)
        if clock.sessions_end:
            wait_until_the_peer_has_closed(send_all.client)

    async def sleep_async(seconds):
        passes(seconds)
        while clock.sessions_end and not send_all.client._transport._connection.ended:
            await asyncio_sleep(0)

    clock.sleep = sleep
    for module in ("bulk", "client", "async_client"):
        monkeypatch.setattr(f"airflow_smtp_cm.smtp.{module}.time", clock)
    monkeypatch.setattr("airflow_smtp_cm.smtp.async_client.asyncio.sleep", sleep_async)
    return clock


def alone(note):
    """Return the steps that accept a message with BDAT that is sent alone, not in a group."""
    return [*taken(note)[1:], say(*OK[1:])]


def test_messages_are_sent_evenly_spaced(send_all, clock):
    """Each waits for the reply to the previous one."""
    notes = [Note() for _ in range(4)]
    with scripted_peer(
        [*CHUNKING, *(step for note in notes for step in alone(note)), expect("QUIT")], to_the_end=False
    ) as peer:
        outcomes = send_all(settings(peer), notes, messages_per_minute=30)

    assert kinds(outcomes) == [SendResult] * 4
    assert clock.pauses == [2, 2, 2]


def test_a_message_in_several_transactions_counts_as_many(send_all, clock):
    """The server counts them."""
    envelope = [expect("MAIL"), expect("RCPT"), expect("DATA")]
    first = [expect("MAIL"), *[expect("RCPT")] * 3, expect("DATA"), say(*PARTLY, "354 go"), expect_content()]
    other = [say("250 f"), *envelope, say("250 m", "250 t", "354 go"), expect_content()]
    script = [*greeting("PIPELINING"), *first, *other * 3, say("250 f"), expect("QUIT")]
    with scripted_peer(script, to_the_end=False) as peer:
        outcomes = send_all(settings(peer), [Note(recipients=THREE), Note()], messages_per_minute=30)

    assert kinds(outcomes) == [SendResult] * 2
    assert clock.pauses == [6]


def test_a_message_that_takes_longer_than_the_pause_is_followed_at_once(send_all, clock):
    notes = [Note() for _ in range(2)]
    slow = [*taken(notes[0])[1:], clock.passes(5), say(*OK[1:])]
    with scripted_peer([*CHUNKING, *slow, *alone(notes[1]), expect("QUIT")], to_the_end=False) as peer:
        outcomes = send_all(settings(peer), notes, messages_per_minute=30)

    assert kinds(outcomes) == [SendResult] * 2
    assert clock.pauses == []


@pytest.mark.parametrize("end", [[], [say("421 4.4.2 idle for too long")]], ids=["silently", "421"])
def test_if_the_server_ends_an_idle_session_the_next_message_is_sent_in_another(send_all, clock, end):
    """Every time; no message is uncertain."""
    clock.sessions_end = True
    notes = [Note() for _ in range(4)]
    scripts = [[*CHUNKING, *alone(note), *end] for note in notes]
    with scripted_peer(*scripts, to_the_end=False) as peer:
        outcomes = send_all(settings(peer), notes, messages_per_minute=30)

    assert [outcome.message_id for outcome in outcomes] == [note.message_id for note in notes]


def test_after_a_long_pause_the_session_is_probed(send_all, clock):
    """A device between client and server may have dropped it silently."""
    notes = [Note() for _ in range(2)]
    with scripted_peer(
        [*CHUNKING, *alone(notes[0]), expect("NOOP"), say("250 ok"), *alone(notes[1]), expect("QUIT")],
        to_the_end=False,
    ) as peer:
        outcomes = send_all(settings(peer), notes, messages_per_minute=1)

    assert kinds(outcomes) == [SendResult] * 2
    assert clock.pauses == [60]


@pytest.mark.parametrize("extensions", [("PIPELINING", "CHUNKING"), ("PIPELINING",), ()])
def test_a_connection_has_at_most_the_allowed_number_of_messages(send_all, extensions):
    notes = [Note() for _ in range(5)]
    if "CHUNKING" in extensions:
        sessions = [
            [step for note in share for step in taken(note, *OK)] for share in (notes[:2], notes[2:4], notes[4:])
        ]
    elif extensions:
        turn = [expect("MAIL"), expect("RCPT"), expect("DATA")]
        go = [say("250 m", "250 t", "354 go"), expect_content()]
        two = [*turn, *go, *turn, say("250 f", "250 m", "250 t", "354 go"), expect_content(), say("250 f")]
        sessions = [two, two, [*turn, *go, say("250 f")]]
    else:
        one = [
            *(expect("MAIL"), say("250 m"), expect("RCPT"), say("250 t")),
            *(expect("DATA"), say("354 go"), expect_content(), say("250 f")),
        ]
        sessions = [one * 2, one * 2, one]
    goodbye = [expect("QUIT"), say("221 bye")]
    with scripted_peer(*[[*greeting(*extensions), *session, *goodbye] for session in sessions]) as peer:
        outcomes = send_all(settings(peer), notes, max_messages_per_connection=2)

    assert [outcome.message_id for outcome in outcomes] == [note.message_id for note in notes]


@pytest.mark.parametrize("extensions", [("PIPELINING", "CHUNKING"), ("PIPELINING",)])
def test_a_large_message_may_be_the_last_of_its_connection(send_all, extensions):
    """It is counted once; else session after session would be opened without an end."""
    notes = [large_note(), large_note()]
    chunking = "CHUNKING" in extensions
    data = [expect("MAIL"), expect("RCPT"), expect("DATA"), say("250 m", "250 t", "354 go"), expect_content()]
    session = [*(taken_alone(notes[0]) if chunking else data), say("250 f"), expect("QUIT"), say("221 bye")]
    with scripted_peer(*[[*greeting(*extensions), *session]] * 2) as peer:
        outcomes = send_all(settings(peer), notes, max_messages_per_connection=1)

    assert [outcome.message_id for outcome in outcomes] == [note.message_id for note in notes]


def test_a_session_with_all_its_messages_is_ended_before_the_pause(send_all, clock):
    notes = [Note() for _ in range(2)]
    goodbye = [expect("QUIT"), say("221 bye")]
    with scripted_peer(*[[*CHUNKING, *alone(note), *goodbye] for note in notes]) as peer:
        outcomes = send_all(settings(peer), notes, messages_per_minute=30, max_messages_per_connection=1)

    assert kinds(outcomes) == [SendResult] * 2
    assert clock.pauses == [2]


@pytest.mark.parametrize("limit", ["messages_per_minute", "max_messages_per_connection"])
@pytest.mark.parametrize("most", [0, -1])
def test_a_limit_below_one_message_is_rejected(send_all, limit, most):
    with (
        scripted_peer([*CHUNKING, expect("QUIT")], to_the_end=False) as peer,
        pytest.raises(ValueError, match=rf"{limit} must be a positive number, not {most}\."),
    ):
        send_all(settings(peer), [Note()], **{limit: most})


# --- the record fails


class UnrecordedNote(RecordedNote):
    """A note that can be recorded only as many times as the first digit of its sender says."""

    def record_sending(self, recipients, size):
        super().record_sending(recipients, size)
        if len(self.log) > int(self.sender[0]):
            raise RecordError("no record")


def sends(driver, notes, *answers, extensions=("PIPELINING",), **settings):
    """Send notes of which one cannot be recorded."""
    bulk = Bulk(notes, all_or_nothing=False)
    with pytest.raises(RecordError, match="no record"):
        driver.run(driver.opened(*extensions, **settings).send_all(bulk), *answers)
    return b"".join(driver.writes).decode()


def after_two():
    return [RecordedNote(), RecordedNote(), UnrecordedNote(sender="0@b.test"), RecordedNote()]


@pytest.mark.parametrize(
    ("answers", "options"),
    [
        ([GO, f"250 f\n{GO}", "250 f"], {}),
        (["\n".join(OK * 2)], {"extensions": ("PIPELINING", "CHUNKING"), "chunking": True}),
        (["250 m", "250 t", "354 go", "250 f"] * 2 + ["250 m", "250 t", "354 go"], {"extensions": ()}),
    ],
    ids=["DATA", "BDAT", "one by one"],
)
def test_if_a_message_cannot_be_recorded_those_in_flight_are_settled_and_no_other_is_sent(driver, answers, options):
    notes = after_two()
    sent = sends(driver, notes, *answers, **options)

    assert [outcome.message_id for outcome in driver.outcomes] == [note.message_id for note in notes[:2]]
    assert sent.count("Message-ID:") == 2
    assert notes[3].log == []


def test_if_the_first_message_cannot_be_recorded_nothing_is_sent(driver):
    assert sends(driver, after_two()[2:]) == ""
    assert driver.outcomes == []


@pytest.mark.parametrize("earlier", [0, 1])
def test_content_for_fewer_recipients_that_cannot_be_recorded_is_not_sent(driver, earlier):
    """The server waits for it, so that the session ends; the message before is settled."""
    note = UnrecordedNote(recipients=THREE, sender="1@b.test")
    partly = "\n".join((*PARTLY, "354 go"))
    answers = [GO, f"250 f\n{partly}"] if earlier else [partly]
    sent = sends(driver, [*[Note()] * earlier, note, Note()], *answers)

    assert kinds(driver.outcomes) == [SendResult] * earlier
    assert sent.count("Message-ID:") == earlier
    assert "QUIT" not in sent


def test_if_a_further_transaction_cannot_be_recorded_its_message_is_settled_and_no_other_is_sent(driver):
    note = UnrecordedNote(recipients=THREE, sender="3@b.test")  # twice for the first, and once that it was accepted
    partly = "\n".join((*PARTLY, "354 go"))
    sent = sends(driver, [note, Note()], partly, "250 f", GO)

    (outcome,) = driver.outcomes
    assert isinstance(outcome, DeliveryIncomplete)
    assert (outcome.result.accepted, outcome.remaining) == (THREE[:1], THREE[1:])
    assert isinstance(outcome.cause, RecordError)
    assert sent.count("Message-ID:") == 1


def test_the_rest_of_a_message_that_cannot_be_recorded_in_another_session_is_settled(driver):
    note = UnrecordedNote(recipients=THREE, sender="3@b.test")
    bulk = in_bulk(driver, [note, Note()], "\n".join((*PARTLY, "354 go")), "250 f", END, chunking=False)
    again = Driver()
    with pytest.raises(RecordError, match="no record"):
        again.run(again.opened("PIPELINING").send_all(bulk))

    assert kinds(again.outcomes) == [DeliveryIncomplete]
    assert again.outcomes[0].result.accepted == THREE[:1]
    assert again.writes == []


def test_both_clients_raise_the_error_of_the_record_after_the_outcomes(postfix, submission, send_all):
    with pytest.raises(RecordError, match="no record"):
        send_all(submission(postfix.port()), after_two())

    assert kinds(send_all.outcomes) == [SendResult] * 2
