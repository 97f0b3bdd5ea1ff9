"""More recipients than the server accepts at once: further transactions, nobody twice (RFC 5321, 4.5.3.1.10)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.smtp.async_client import AsyncSmtpClient
from airflow_smtp_cm.smtp.client import SmtpClient
from airflow_smtp_cm.smtp.errors import (
    DeliveryIncomplete,
    DeliveryUncertain,
    Disconnected,
    MessageError,
    RecipientsRefused,
    Refused,
    SmtpError,
)
from airflow_smtp_cm.smtp.recipient_limit import over_limit
from airflow_smtp_cm.smtp.reply import Reply
from airflow_smtp_cm.smtp.result import SendResult
from tests.servers.postfix import RECIPIENT_LIMIT
from tests.smtp.driver import END, SILENCE
from tests.smtp.outgoing import Note, RecordedNote

FOUR = ("ann@b.test", "bob@b.test", "cleo@b.test", "dave@b.test")
DATA, BDAT = ("PIPELINING",), ("PIPELINING", "CHUNKING")
TOO_MANY = "452 4.5.3 Too many recipients"


def note(recipients=FOUR):
    return Note(recipients=recipients, raw=b"Hi\r\n")


def envelope(*replies, data="354 go"):
    """Return the replies to a pipelined envelope."""
    return "\n".join(["250 m", *replies, *([data] if data else [])])


def offered(driver):
    """Return the names of the recipients in each transaction."""
    transactions = []
    for line in driver.sent:
        if line.startswith("MAIL"):
            transactions.append([])
        elif line.startswith("RCPT"):
            transactions[-1].append(line.partition("<")[2].partition("@")[0])
    return transactions


# --- which replies mean "not in this transaction"


@pytest.mark.parametrize(
    ("reply", "counts"),
    [
        ("452 4.5.3 Too many recipients", True),
        ("552 5.5.3 Maximum limit of 2 recipients reached", True),
        ("452 #4.5.3 Too many recipients", True),
        ("452 Too many recipients", True),
        ("552 Too many recipients", True),
        ("452 4.2.2 Mailbox full", False),
        ("452 4.3.1 Insufficient system resources", False),
        ("552 5.2.2 Mailbox full", False),
        ("450 4.5.3 Too many recipients", False),
        ("451 4.7.1 Greylisted", False),
        ("550 5.5.3 Too many recipients", False),
        ("554 5.7.1 No", False),
    ],
)
def test_452_and_552_count_if_they_are_about_the_number_of_recipients(driver, send, reply, counts):
    replies = ["250 a", "250 b", reply, reply]
    if counts:
        result = send(DATA, envelope(*replies), "250 q1", envelope("250 c", "250 d"), "250 q2", note=note())
        assert (result.accepted, result.refused) == (FOUR, ())
        assert offered(driver) == [["ann", "bob", "cleo", "dave"], ["cleo", "dave"]]
    else:
        with pytest.raises(RecipientsRefused) as raised:
            send(DATA, envelope(*replies), "250 q1", note=note())
        assert [refusal.address for refusal in raised.value.refused] == list(FOUR[2:])


def test_without_an_enhanced_code_a_reply_counts_only_if_no_later_recipient_was_accepted(driver, send):
    """Otherwise it is about a mailbox: a server over its limit accepts nobody any more."""
    with pytest.raises(RecipientsRefused, match=r"bob@b\.test: 452 full\. .* delivered to the other 3"):
        send(
            DATA,
            envelope("250 a", "452 full", "250 c", "452 too many"),
            "250 q1",
            envelope("250 d"),
            "250 q2",
            note=note(),
        )
    assert offered(driver)[1:] == [["dave"]]


replies_to_recipients = st.sampled_from(
    [Reply(250, ("ok",)), Reply(452, ("4.5.3 too many",)), Reply(452, ("full",)), Reply(552, ("5.2.2 full",))]
)


@given(st.lists(replies_to_recipients))
def test_accepted_recipients_are_never_over_the_limit(replies):
    answered = [(f"{number}@b.test", reply) for number, reply in enumerate(replies)]
    accepted = {address for address, reply in answered if reply.positive}
    assert not over_limit(answered) & accepted


# --- further transactions


@pytest.mark.parametrize("offer", [DATA, BDAT, (), ("CHUNKING",)])
def test_all_recipients_get_the_message_and_there_is_one_result(driver, send, offer):
    def transaction(*replies, final):
        together = envelope(*replies, data=None if "CHUNKING" in offer else "354 go")
        if offer == BDAT:
            return [f"{together}\n{final}"]
        return [together, final] if "PIPELINING" in offer else [*together.splitlines(), final]

    result = send(
        offer,
        *transaction("250 a", TOO_MANY, TOO_MANY, TOO_MANY, final="250 queued as 1"),
        *transaction("250 b", final="250 queued as 2"),
        *transaction("250 c", final="250 queued as 3"),
        *transaction("250 d", final="250 queued as 4"),
        note=note(),
    )
    assert (result.accepted, result.refused, result.uncertain) == (FOUR, (), ())
    assert (str(result.reply), result.size) == ("250 queued as 4", 4)
    assert offered(driver) == [["ann", "bob", "cleo", "dave"], ["bob"], ["cleo"], ["dave"]]
    assert sum(line == "Hi" for line in driver.sent) == 4
    assert not send.session.wire.closed


def test_a_transaction_offers_as_many_recipients_as_the_server_accepted_before(driver, send):
    """A server that counts recipients over its limit as errors then has none to count."""
    recipients = tuple(f"{number}@b.test" for number in range(7))
    send(
        DATA,
        *(envelope("250 0", "250 1", "250 2", *[TOO_MANY] * 4), "250 q"),
        *(envelope("250 3", "250 4", TOO_MANY), "250 q"),
        *(envelope("250 5", "250 6"), "250 q"),
        note=note(recipients),
    )
    assert [len(transaction) for transaction in offered(driver)] == [7, 3, 2]


def test_refused_recipients_of_all_transactions_are_named_in_one_error(send):
    with pytest.raises(
        RecipientsRefused, match=r"refused 2 of 4 recipients: bob@b\.test: 550 .* 550 5\.1\.1 d"
    ) as raised:
        send(
            DATA,
            *(envelope("250 a", "550 5.1.1 b", TOO_MANY, TOO_MANY), "250 q1"),
            *(envelope("250 c"), "250 q2"),
            *(envelope("550 5.1.1 d"), "554 no valid recipients"),
            note=note(),
        )
    assert raised.value.result.accepted == (FOUR[0], FOUR[2])


def test_a_transaction_in_which_nobody_exists_does_not_end_the_others(send):
    with pytest.raises(RecipientsRefused, match=r"refused 1 of 4 recipients") as raised:
        send(
            DATA,
            *(envelope("250 a", TOO_MANY, TOO_MANY, TOO_MANY), "250 q1"),
            *(envelope("550 5.1.1 b"), "554 no valid recipients"),
            *(envelope("250 c"), "250 q2", envelope("250 d"), "250 q3"),
            note=note(),
        )
    assert raised.value.result.accepted == (FOUR[0], FOUR[2], FOUR[3])


def test_if_the_server_has_enough_before_it_accepts_anybody_the_rest_is_refused(driver, send):
    with pytest.raises(
        RecipientsRefused, match=r"refused 2 of 4 recipients: cleo@b\.test, dave@b\.test: 452 "
    ) as raised:
        send(
            DATA,
            *(envelope("250 a", "250 b", TOO_MANY, TOO_MANY), "250 q1"),
            *(envelope(TOO_MANY, TOO_MANY), "554 no valid recipients"),
            note=note(),
        )
    assert raised.value.result.accepted == FOUR[:2]
    assert offered(driver) == [["ann", "bob", "cleo", "dave"], ["cleo", "dave"]]


def test_recipients_who_are_not_offered_again_keep_their_replies(send):
    replies = ["552 5.5.3 too many", "552 5.5.3 too many, c", "552 5.5.3 too many, d"]
    with pytest.raises(RecipientsRefused) as raised:
        send(
            DATA,
            *(envelope("250 a", *replies), "250 q1"),
            *(envelope("552 5.5.3 again"), "554 no valid recipients"),
            note=note(),
        )
    assert [str(refusal.reply) for refusal in raised.value.refused] == ["552 5.5.3 again", *replies[1:]]


@pytest.mark.parametrize("beyond", [TOO_MANY, "452 Too many recipients"])
def test_a_full_mailbox_exactly_at_the_limit_does_not_keep_the_message_from_those_after_it(driver, send, beyond):
    """Its reply looks like that of the limit; a further transaction refuses it again, and shows the difference."""
    full = "452 mailbox full"
    with pytest.raises(
        RecipientsRefused, match=r"refused 1 of 5 recipients: bob@b\.test: 452 mailbox full\."
    ) as raised:
        send(
            DATA,
            *(envelope("250 a", full, beyond, beyond, beyond), "250 q1"),
            *(envelope(full, data="503 no valid recipients"), "250 reset"),
            *(envelope("250 c"), "250 q2", envelope("250 d"), "250 q3", envelope("250 e"), "250 q4"),
            note=note((*FOUR, "eve@b.test")),
        )
    assert raised.value.result.accepted == (FOUR[0], FOUR[2], FOUR[3], "eve@b.test")
    assert [refusal.reply.transient for refusal in raised.value.refused] == [True]
    assert offered(driver)[1:] == [["bob"], ["cleo"], ["dave"], ["eve"]]


@pytest.mark.parametrize("offer", [DATA, BDAT])
def test_recipients_over_a_limit_that_counts_refused_ones_are_offered_again(driver, send, offer):
    """Nobody was accepted, but the server has judged some."""
    first = envelope("550 a", "550 b", TOO_MANY, TOO_MANY, data="503 no")
    if offer == DATA:
        answers = [first, "250 reset", envelope("250 c", "250 d"), "250 q"]
    else:
        answers = [first, "250 reset", envelope("250 c", "250 d", data="250 q")]
    with pytest.raises(RecipientsRefused, match=r"refused 2 of 4 recipients") as raised:
        send(offer, *answers, note=note())
    assert raised.value.result.accepted == FOUR[2:]
    assert str(raised.value.result.reply) == "250 q"
    assert offered(driver) == [["ann", "bob", "cleo", "dave"], ["cleo", "dave"]]


@pytest.mark.parametrize("extensions", [DATA, (*DATA, "X-EXPS GSSAPI NTLM")], ids=["any server", "Exchange"])
def test_if_the_server_has_enough_at_the_first_recipient_all_are_refused(driver, send, extensions):
    """The error does not speak of all_or_nothing, which is not set."""
    with pytest.raises(
        RecipientsRefused, match=r"refused 4 of 4 .*\. The message was not delivered to anyb"
    ) as raised:
        send(extensions, envelope(*[TOO_MANY] * 4, data="503 no"), "250 reset", note=note())
    assert raised.value.transient
    assert "all_or_nothing" not in str(raised.value)
    assert ("MaxRecipientsPerMessage" in str(raised.value)) is (extensions != DATA)
    assert len(offered(driver)) == 1


def test_with_all_or_nothing_the_limit_is_the_reason_only_if_somebody_was_accepted(send):
    replies = ("550 5.1.1 a", TOO_MANY, TOO_MANY, TOO_MANY)
    with pytest.raises(RecipientsRefused, match="not delivered to anybody"):
        send(DATA, envelope(*replies, data=None), "250 reset", note=note(), all_or_nothing=True)


@pytest.mark.parametrize("offer", [DATA, BDAT])
def test_all_or_nothing_sends_nothing_if_the_server_does_not_accept_all_at_once(driver, send, offer):
    with pytest.raises(RecipientsRefused, match="all_or_nothing is set, and the server accepts only 2") as raised:
        send(
            offer,
            envelope("250 a", "250 b", TOO_MANY, TOO_MANY, data=None),
            "250 reset",
            note=note(),
            all_or_nothing=True,
        )
    assert raised.value.result is None
    assert not raised.value.transient
    assert not any(line.startswith(("DATA", "BDAT")) for line in driver.sent)


def test_a_reply_to_many_recipients_is_reported_once(send):
    recipients = tuple(f"r{number}@corp.test" for number in range(60))
    replies = ("250 a", "550 5.1.1 Unknown", *[TOO_MANY] * 58)
    with pytest.raises(RecipientsRefused) as raised:
        send(
            DATA,
            envelope(*replies, data=None),
            "250 reset",
            note=Note(recipients=recipients),
            all_or_nothing=True,
        )

    text = str(raised.value)
    assert len(raised.value.refused) == 59
    assert text.count(TOO_MANY) == 1
    assert "refused 59 of 60 recipients: r1@corp.test: 550 5.1.1 Unknown; r2@corp.test, r3@corp.test, " in text
    assert f", r21@corp.test and 38 more: {TOO_MANY}." in text


# --- recipients above MOST_RECIPIENTS


@pytest.fixture
def at_most_two(monkeypatch):
    monkeypatch.setattr("airflow_smtp_cm.smtp.envelope.MOST_RECIPIENTS", 2)


@pytest.mark.usefixtures("at_most_two")
def test_recipients_above_the_most_of_a_transaction_get_the_message_in_further_ones(driver, send):
    """Servers end the session if there are far more than they accept."""
    result = send(
        DATA,
        *(envelope("250 a", "250 b"), "250 q1"),
        *(envelope("250 c", "250 d"), "250 q2"),
        *(envelope("250 e"), "250 q3"),
        note=note((*FOUR, "eve@b.test")),
    )
    assert result.accepted == (*FOUR, "eve@b.test")
    assert offered(driver) == [["ann", "bob"], ["cleo", "dave"], ["eve"]]


@pytest.mark.usefixtures("at_most_two")
def test_a_lower_limit_of_the_server_counts_from_then_on(driver, send):
    send(
        DATA,
        *(envelope("250 a", TOO_MANY), "250 q1"),
        *(envelope("250 b"), "250 q2", envelope("250 c"), "250 q3", envelope("250 d"), "250 q4"),
        note=note(),
    )
    assert offered(driver) == [["ann", "bob"], ["bob"], ["cleo"], ["dave"]]


@pytest.mark.usefixtures("at_most_two")
def test_with_all_or_nothing_all_are_offered_at_once(driver, send):
    send(
        DATA,
        envelope("250 a", "250 b", "250 c", "250 d", data=None),
        "354 go",
        "250 q",
        note=note(),
        all_or_nothing=True,
    )
    assert offered(driver) == [["ann", "bob", "cleo", "dave"]]


@pytest.mark.usefixtures("at_most_two")
def test_an_address_that_cannot_be_sent_is_an_error_before_any_transaction(driver, send):
    with pytest.raises(MessageError, match="not ASCII"):
        send(DATA, note=note((*FOUR, "ève@b.test")))
    assert driver.sent == []


@pytest.mark.usefixtures("at_most_two")
@pytest.mark.parametrize("offer", [DATA, BDAT])
def test_those_who_were_not_offered_are_not_uncertain(send, offer):
    answers = [envelope("250 a", "250 b"), END] if offer == DATA else [("250 m", END)]
    with pytest.raises(DeliveryUncertain) as raised:
        send(offer, *answers, note=note())
    assert (raised.value.result.uncertain, raised.value.unsent) == (FOUR[:2], 2)


@pytest.mark.usefixtures("at_most_two")
@pytest.mark.parametrize("offer", [DATA, BDAT, ()])
def test_if_the_first_recipients_are_refused_the_others_are_offered(driver, send, offer):
    answers = {
        DATA: [envelope("550 a", "550 b", data="503 no"), "250 reset", envelope("250 c", "250 d"), "250 q"],
        BDAT: [envelope("550 a", "550 b", data="503 no"), "250 reset", envelope("250 c", "250 d", data="250 q")],
        (): ["250 m", "550 a", "550 b", "250 reset", "250 m", "250 c", "250 d", "354 go", "250 q"],
    }[offer]
    with pytest.raises(RecipientsRefused, match=r"refused 2 of 4 recipients.* delivered to the other 2") as raised:
        send(offer, *answers, note=note())
    assert raised.value.result.accepted == FOUR[2:]
    assert [refusal.address for refusal in raised.value.refused] == list(FOUR[:2])
    assert offered(driver) == [["ann", "bob"], ["cleo", "dave"]]


@pytest.mark.usefixtures("at_most_two")
@pytest.mark.parametrize(("replies", "transient"), [(["550"] * 4, False), (["450"] * 4, True)])
def test_if_all_recipients_of_all_transactions_are_refused_nobody_has_the_message(send, replies, transient):
    answers = [envelope(*replies[:2], data="554 no"), "250 reset", envelope(*replies[2:], data="554 no"), "250 reset"]
    with pytest.raises(RecipientsRefused, match=r"refused 4 of 4 recipients.* not delivered to anybody") as raised:
        send(DATA, *answers, note=note())
    assert (raised.value.result, raised.value.transient) == (None, transient)


@pytest.mark.usefixtures("at_most_two")
def test_an_error_after_recipients_were_refused_is_unchanged_if_nobody_has_the_message(send):
    """A retry may offer all again."""
    with pytest.raises(Refused, match="421 bye") as raised:
        send(DATA, envelope("550 a", "550 b", data="554 no"), "250 reset", "421 bye", note=note())
    assert type(raised.value) is Refused
    assert raised.value.transient


# --- errors between transactions

FIRST = [envelope("250 a", "250 b", TOO_MANY, TOO_MANY), "250 q1"]


@pytest.mark.parametrize(
    ("answers", "cause", "transient"),
    [
        ([END], Disconnected, True),
        (["421 4.3.2 bye"], Refused, True),
        (["450 4.7.1 later\n503 a\n503 b\n503 c", "250 reset"], Refused, True),
        (["550 5.7.1 no\n503 a\n503 b\n503 c", "250 reset"], Refused, False),
        ([envelope("250 c", "250 d"), "554 5.7.1 spam"], Refused, False),
    ],
)
def test_an_error_in_a_further_transaction_tells_who_has_the_message(send, answers, cause, transient):
    with pytest.raises(
        DeliveryIncomplete, match=r"delivered to 2 of 4 recipients, and not sent to 2, because an error"
    ) as raised:
        send(DATA, *FIRST, *answers, note=note())
    error = raised.value
    assert (error.result.accepted, error.remaining) == (FOUR[:2], FOUR[2:])
    assert str(error).endswith(f"delivered to {', '.join(FOUR[:2])}. It was not sent to {', '.join(FOUR[2:])}.")
    assert (type(error.cause), error.cause.transient) == (cause, transient)
    assert not error.transient  # a retry without a record would send it to the first ones again
    assert str(error.cause).rstrip(".") in str(error)


@pytest.mark.parametrize("lost", [END, SILENCE])
def test_delivery_is_uncertain_only_for_the_recipients_of_one_transaction(send, lost):
    first = [envelope("250 a", TOO_MANY, TOO_MANY, TOO_MANY), "250 q1"]
    with pytest.raises(DeliveryUncertain, match=r"uncertain for 1 of 4 recipients: bob@b\.test\. ") as raised:
        send(DATA, *first, envelope("250 b"), lost, note=note())
    error = raised.value
    assert (error.result.accepted, error.result.uncertain, error.unsent) == (FOUR[:1], FOUR[1:2], 2)
    assert str(error).endswith("The message was delivered to 1, and not sent to 2.")


def test_the_first_transaction_may_be_uncertain_too(send):
    with pytest.raises(DeliveryUncertain) as raised:
        send(DATA, FIRST[0], END, note=note())
    assert (raised.value.result.uncertain, raised.value.unsent) == (FOUR[:2], 2)


def test_a_session_that_ends_with_a_refusal_leaves_the_rest_unsent(send):
    first = [envelope("250 a", TOO_MANY, TOO_MANY, TOO_MANY), "250 q1"]
    with pytest.raises(DeliveryIncomplete, match=r"because an error followed: .* 421 too many errors") as raised:
        send(DATA, *first, envelope("550 5.1.1 b", data="554 no"), "421 too many errors", note=note())
    assert (raised.value.remaining, raised.value.code, raised.value.cause.transient) == (FOUR[2:], 421, True)


# --- the record


@pytest.mark.parametrize("offer", [DATA, BDAT])
def test_the_record_has_each_transaction_before_its_content_and_after_its_reply(send, offer):
    recorded = RecordedNote(recipients=FOUR, raw=b"Hi\r\n")
    seen = []

    def look(reply):
        def answer(_):
            seen.append(list(recorded.log))
            return reply

        return answer

    if offer == DATA:
        answers = [look(FIRST[0]), look(FIRST[1]), look(envelope("250 c", "250 d")), look("250 q2")]
    else:
        answers = [look(f"{envelope('250 a', '250 b', TOO_MANY, TOO_MANY, data=None)}\n250 q1")]
        answers += [look(f"{envelope('250 c', '250 d', data=None)}\n250 q2")]
    send(offer, *answers, note=recorded)
    first = ("sending", FOUR[:2] if offer == DATA else FOUR, 4)  # BDAT leaves before the replies to RCPT
    whole = [first, ("accepted", FOUR[:2]), ("sending", FOUR[2:], 4)]
    assert recorded.log == whole
    counts = [0, 1, 2, 3] if offer == DATA else [1, 3]
    assert seen == [whole[:count] for count in counts]


@pytest.mark.parametrize(
    ("writes", "answers"), [(0, FIRST[:1]), (1, FIRST), (2, [*FIRST, envelope("250 c", "250 d")])]
)
def test_nothing_more_is_sent_if_the_record_fails(driver, send, writes, answers):
    class Failing(RecordedNote):
        def record_sending(self, recipients, size):
            self.fail_after(super().record_sending(recipients, size))

        def record_accepted(self, result):
            self.fail_after(super().record_accepted(result))

        def fail_after(self, _):
            if len(self.log) > writes:
                raise RuntimeError("no record")

    with pytest.raises(RuntimeError, match="no record"):
        send(DATA, *answers, note=Failing(recipients=FOUR, raw=b"Hi\r\n"))
    assert sum(line == "Hi" for line in driver.sent) == min(writes, 1)


# --- against Postfix


def everybody(count):
    return tuple(f"many+{number}@corp.test" for number in range(count))


def blocking(settings, note):
    commands = []
    with SmtpClient.open(settings, trace=lambda event: commands.append(event.text)) as client:
        return client.send(note), commands


def on_asyncio(settings, note):
    commands = []

    async def main():
        async with await AsyncSmtpClient.open(settings, trace=lambda event: commands.append(event.text)) as client:
            return await client.send(note)

    return asyncio.run(main()), commands


def mailboxes(postfix, message_id):
    """Return how many copies of a message each recipient has."""
    postfix.wait_until_idle()
    return Counter(
        message["X-Original-To"] for message in postfix.messages("many") if message["Message-ID"] == message_id
    )


@pytest.mark.parametrize(
    ("send", "chunking"), [(blocking, False), (blocking, True), (on_asyncio, False)], ids=["DATA", "BDAT", "asyncio"]
)
def test_a_thousand_recipients_get_one_copy_each_in_ten_transactions(postfix, submission, send, chunking):
    recipients = everybody(10 * RECIPIENT_LIMIT)
    sent = Note(recipients=recipients)
    result, commands = send(submission(postfix.port("few_recipients"), chunking=chunking), sent)

    assert isinstance(result, SendResult)
    assert result.accepted == recipients
    assert sum(str(command).startswith("MAIL FROM") for command in commands) == 10
    assert mailboxes(postfix, sent.message_id) == Counter(recipients)


def test_far_more_recipients_than_the_limit_do_not_end_the_session(postfix, submission):
    """As with Postfix's own settings: it ends a session after 1,000 recipients above the limit, and 20 more."""
    recipients = everybody(RECIPIENT_LIMIT + 1_000 + 20 + 1)
    sent = Note(recipients=recipients)
    result, _ = blocking(submission(postfix.port("few_recipients")), sent)

    assert result.accepted == recipients
    assert mailboxes(postfix, sent.message_id) == Counter(recipients)


@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
@pytest.mark.parametrize("all_or_nothing", [False, True])
def test_in_bulk_such_a_message_does_not_disturb_the_others(postfix, submission, chunking, all_or_nothing):
    count = 2 * RECIPIENT_LIMIT + RECIPIENT_LIMIT // 2
    notes = [Note(), Note(), Note(recipients=everybody(count)), Note(), Note(recipients=everybody(count)), Note()]
    settings = submission(postfix.port("few_recipients"), chunking=chunking)
    with SmtpClient.open(settings) as client:
        outcomes = list(client.send_all(notes, all_or_nothing=all_or_nothing))

    large = RecipientsRefused if all_or_nothing else SendResult
    assert [type(outcome) for outcome in outcomes] == [SendResult, SendResult, large, SendResult, large, SendResult]
    assert [outcome.message_id for outcome in outcomes if not isinstance(outcome, SmtpError)] == [
        note.message_id for note in notes if not (all_or_nothing and len(note.recipients) > 1)
    ]
    for sent in (notes[2], notes[4]):
        assert mailboxes(postfix, sent.message_id) == Counter([] if all_or_nothing else sent.recipients)
    postfix.wait_until_idle()
    copies = postfix.copies()
    assert [copies[note.message_id] for note in notes if len(note.recipients) == 1] == [1] * 4


# --- the result in the log


def test_log_says_that_there_was_no_final_reply():
    result = SendResult.without_reply("<1@b.test>", FOUR)

    assert str(result).endswith(" s. No final reply.")
