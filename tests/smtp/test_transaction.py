"""The rules of a transaction: what is sent in one write, refused recipients, and when delivery is uncertain."""

from __future__ import annotations

import re

import pytest

from airflow_smtp_cm.mail.attachments import Attachment
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.smtp.content_transfer import BLOCK, INLINE_LIMIT
from airflow_smtp_cm.smtp.errors import (
    DeliveryUncertain,
    Disconnected,
    Phase,
    ProtocolError,
    RecipientsRefused,
    Refused,
    SmtpError,
)
from tests.smtp.driver import END, SILENCE, Breaks
from tests.smtp.outgoing import SHORT, Note

BDAT = ("PIPELINING", "CHUNKING")
DATA = ("PIPELINING",)
OFFERS = {"BDAT": BDAT, "DATA": DATA, "no pipelining": ()}
TWO = ("bob@b.test", "carol@b.test")
LARGE = b"0123456789abc\r\n" * (3 * BLOCK // 15)


# --- what is sent in one write


def test_envelope_and_content_are_one_write_with_pipelining_and_chunking(driver, send):
    result = send(BDAT, "250 a\n250 b\n250 queued as 1")
    assert driver.writes == [b"MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@b.test>\r\nBDAT 7 LAST\r\nHi\r\n.\r\n"]
    assert (result.accepted, result.size, str(result.reply)) == (("bob@b.test",), 7, "250 queued as 1")


def test_the_envelope_and_data_are_one_write_with_pipelining(driver, send):
    send(DATA, "250 a\n250 b\n354 go", "250 queued")
    assert driver.writes == [
        b"MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@b.test>\r\nDATA\r\n",
        b"Hi\r\n..\r\n.\r\n",
    ]


@pytest.mark.parametrize(("offer", "settings"), [((), {}), (DATA, {"pipelining": False})])
def test_every_command_waits_for_its_reply_without_pipelining(driver, send, offer, settings):
    send(offer, "250 a", "250 b", "354 go", "250 queued", **settings)
    assert driver.writes == [
        b"MAIL FROM:<a@b.test>\r\n",
        b"RCPT TO:<bob@b.test>\r\n",
        b"DATA\r\n",
        b"Hi\r\n..\r\n.\r\n",
    ]


@pytest.mark.parametrize("extensions", [("PIPELINING", "CHUNKING", "BINARYMIME"), ("CHUNKING", "BINARYMIME")])
def test_content_is_sent_with_data_unless_chunking_is_asked_for(driver, send, extensions):
    """Exchange, and devices before it, were seen not to answer BDAT."""
    note = MailMessage(from_email="a@b.test", to="bob@b.test", text="Hi", attachments=[Attachment(b"\0\n", "a.bin")])
    envelope = ["250 a\n250 b\n354 go"] if "PIPELINING" in extensions else ["250 a", "250 b", "354 go"]
    send(extensions, *envelope, "250 queued", note=note, chunking=False)
    assert driver.sent.count("DATA") == 1
    assert not any("BDAT" in line or "BODY=" in line for line in driver.sent)
    assert len(driver.writes) == len(envelope) + 1


def test_chunking_without_pipelining_needs_no_data(driver, send):
    send(("CHUNKING",), "250 a", "250 b", "250 queued")
    assert driver.writes[2:] == [b"BDAT 7 LAST\r\nHi\r\n.\r\n"]


def test_a_large_message_waits_for_its_envelope_and_is_sent_in_blocks(driver, send):
    note = Note(raw=LARGE)
    send(BDAT, "250 a\n250 b", _after_all_content("250 queued"), note=note)
    envelope, *blocks = driver.writes
    assert envelope.endswith(b"RCPT TO:<bob@corp.test>\r\n")
    assert b"".join(blocks) == f"BDAT {len(LARGE)} LAST\r\n".encode() + LARGE
    assert len(blocks) > 1
    assert max(map(len, blocks)) < BLOCK + 2000


def _after_all_content(reply):
    """Return a function that replies when all of LARGE has been received."""
    left = [len(LARGE)]

    def answer(block):
        left[0] -= len(block.removeprefix(f"BDAT {len(LARGE)} LAST\r\n".encode()))
        return None if left[0] else reply

    return answer


@pytest.mark.parametrize("size", [INLINE_LIMIT - 1, INLINE_LIMIT, INLINE_LIMIT + 1, 2 * BLOCK - 1, 2 * BLOCK])
def test_messages_around_the_limits_arrive_complete(driver, send, size):
    rendering = b"x" * (size - 2) + b"\r\n"
    together = size <= INLINE_LIMIT
    left = [size]

    def answer(block):
        left[0] -= len(block.partition(b"LAST\r\n")[2] or block)
        return None if left[0] else ("250 a\n250 b\n250 queued" if together else "250 queued")

    send(BDAT, *([] if together else ["250 a\n250 b"]), answer, note=Note(raw=rendering))
    assert b"".join(driver.writes).endswith(f"BDAT {size} LAST\r\n".encode() + rendering)


@pytest.mark.parametrize("offer", [BDAT, DATA, ("CHUNKING",), ()])
def test_all_or_nothing_sends_no_content_before_every_recipient_is_accepted(driver, send, offer):
    note = Note(recipients=TWO, raw=b"Hi\r\n")
    replies = ["250 a\n250 b\n250 c"] if "PIPELINING" in offer else ["250 a", "250 b", "250 c"]
    rest = ["250 queued"] if "CHUNKING" in offer else ["354 go", "250 queued"]
    send(offer, *replies, *rest, note=note, all_or_nothing=True)
    assert not re.search(rb"DATA|BDAT|Hi", b"".join(driver.writes[: len(replies)]))
    assert re.match(rb"DATA|BDAT", driver.writes[len(replies)])


@pytest.mark.parametrize("offer", [BDAT, DATA, ("CHUNKING",), ()])
def test_all_or_nothing_sends_no_content_if_a_recipient_is_refused(driver, send, offer):
    replies = ["250 a\n250 b\n550 c"] if "PIPELINING" in offer else ["250 a", "250 b", "550 c"]
    with pytest.raises(RecipientsRefused, match="not sent to anybody, since all_or_nothing"):
        send(offer, *replies, "250 reset", note=Note(recipients=TWO), all_or_nothing=True)
    assert driver.sent[-1] == "RSET"
    assert not any(re.match("DATA|BDAT", line) for line in driver.sent)
    assert not send.session.wire.closed


# --- refusals


@pytest.mark.parametrize("replies", ["250 a\n550 b\n354 go", "550 a\n503 b\n354 go", "451 a\n503 b\n354 go"])
def test_after_354_without_an_accepted_recipient_a_lone_dot_is_sent(driver, send, replies):
    """RFC 2920, section 3.1."""
    with pytest.raises(Refused) as raised:
        send(DATA, replies, "554 no valid recipients")
    assert raised.value.code == int(re.search("550|451", replies)[0])
    assert driver.writes[1:] == [b".\r\n"]
    assert not send.session.wire.closed


@pytest.mark.parametrize("code", [450, 451, 499, 501, 503, 530, 535, 550, 551, 553, 554, 571])
def test_a_refused_recipient_does_not_keep_the_message_from_the_others(send, code):
    """Whatever the code is: in SSIS, nobody gets the message with 451, 501, 530, 554 and others."""
    with pytest.raises(RecipientsRefused) as raised:
        send(DATA, f"250 a\n250 b\n{code} no\n354 go", "250 queued", note=Note(recipients=TWO))
    assert raised.value.result.accepted == TWO[:1]
    assert [refusal.reply.code for refusal in raised.value.result.refused] == [code]


@pytest.mark.parametrize("answer", ["250 ok", "421 bye", "what", END, SILENCE, Breaks(), Breaks("421 bye")])
def test_the_refusal_is_the_error_whatever_the_reply_to_the_lone_dot(send, answer):
    with pytest.raises(RecipientsRefused, match="The message was not delivered to anybody"):
        send(DATA, "250 a\n550 b\n354 go", answer)
    assert send.session.wire.closed is (answer != "250 ok")


@pytest.mark.parametrize(
    ("offer", "answers"),
    [
        (BDAT, ["550 5.7.1 not you\n503 no\n503 no\n503 no"]),
        (DATA, ["550 5.7.1 not you\n503 no\n503 no\n503 no"]),
        ((), ["550 5.7.1 not you"]),
    ],
)
def test_the_senders_refusal_is_the_error_not_the_503s_after_it(driver, send, offer, answers):
    with pytest.raises(Refused, match=r"refused the sender alice@corp\.test: 550 5\.7\.1 not you") as raised:
        send(offer, *answers, "250 reset", note=Note(recipients=TWO))
    assert type(raised.value) is Refused
    assert (raised.value.phase, raised.value.command) == (Phase.MAIL, "MAIL FROM:<alice@corp.test>")
    assert driver.sent[-1] == "RSET"
    assert not send.session.wire.closed


@pytest.mark.parametrize("offer", OFFERS)
def test_the_accepted_recipients_get_the_message_and_the_error_names_the_others(send, offer):
    answers = {
        "BDAT": ["250 a\n250 b\n550 5.1.1 c\n250 queued"],
        "DATA": ["250 a\n250 b\n550 5.1.1 c\n354 go", "250 queued"],
        "no pipelining": ["250 a", "250 b", "550 5.1.1 c", "354 go", "250 queued"],
    }[offer]
    with pytest.raises(RecipientsRefused, match=r"1 of 2 recipients: carol@b\.test: 550 5\.1\.1 c") as raised:
        send(OFFERS[offer], *answers, note=Note(recipients=TWO))
    assert raised.value.result.accepted == ("bob@b.test",)
    assert not raised.value.transient


REFUSALS = {
    ("of the sender", "BDAT"): ["550 a\n503 b\n503 c"],
    ("of the sender", "DATA"): ["550 a\n503 b\n503 c"],
    ("of the sender", "no pipelining"): ["550 a"],
    ("of the recipient", "BDAT"): ["250 a\n550 b\n503 c"],
    ("of the recipient", "DATA"): ["250 a\n550 b\n503 c"],
    ("of the recipient", "no pipelining"): ["250 a", "550 b"],
}


@pytest.mark.parametrize("answer", ["250 reset", "500 what?", "421 bye", "what", END, SILENCE, Breaks("421 bye")])
@pytest.mark.parametrize(("refusal", "offer"), REFUSALS)
def test_after_a_refusal_the_session_is_reset_and_if_that_fails_closed(driver, send, refusal, offer, answer):
    """The refusal is raised in any case."""
    with pytest.raises(Refused) as raised:
        send(OFFERS[offer], *REFUSALS[refusal, offer], answer)
    assert raised.value.code == 550
    assert send.session.wire.closed is (answer != "250 reset")
    if not isinstance(answer, Breaks):
        assert driver.sent[-1] == "RSET"


@pytest.mark.parametrize("answer", ["451 4.3.0 later", "550 5.7.1 no"])
@pytest.mark.parametrize("offer", ["DATA", "no pipelining"])
def test_if_data_is_refused_no_content_is_sent(driver, send, offer, answer):
    answers = [f"250 a\n250 b\n{answer}"] if offer == "DATA" else ["250 a", "250 b", answer]
    with pytest.raises(Refused, match=f"did not accept DATA: {re.escape(answer)}") as raised:
        send(OFFERS[offer], *answers, "250 reset")
    assert raised.value.transient is answer.startswith("4")
    assert raised.value.phase is Phase.DATA
    assert driver.sent[-1] == "RSET"


@pytest.mark.parametrize("answer", ["250 what?", "334 what?"])
@pytest.mark.parametrize("offer", ["DATA", "no pipelining"])
def test_an_unexpected_reply_to_data_is_a_protocol_error(driver, send, offer, answer):
    answers = [f"250 a\n250 b\n{answer}"] if offer == "DATA" else ["250 a", "250 b", answer]
    with pytest.raises(ProtocolError, match=f"unexpected reply to DATA \\({re.escape(answer)}\\)") as raised:
        send(OFFERS[offer], *answers)
    assert raised.value.phase is Phase.DATA
    assert driver.sent[-1] == "DATA"
    assert send.session.wire.closed


@pytest.mark.parametrize("code", [451, 552, 554])
@pytest.mark.parametrize("offer", OFFERS)
def test_after_a_refused_message_the_session_can_be_used_again(driver, send, offer, code):
    """After BDAT, a server may still have the envelope: the next message would go to these recipients, too."""
    answers = {
        "BDAT": [f"250 a\n250 b\n{code} no", "250 reset"],
        "DATA": ["250 a\n250 b\n354 go", f"{code} no"],
        "no pipelining": ["250 a", "250 b", "354 go", f"{code} no"],
    }[offer]
    with pytest.raises(Refused, match=f"refused the message: {code} no") as raised:
        send(OFFERS[offer], *answers)
    assert raised.value.transient is (code < 500)
    assert (driver.sent[-1] == "RSET") is (offer == "BDAT")
    driver.run(send.session.noop(), "250 ok")


# --- connections that break

LOST = {
    "end": END,
    "silence": SILENCE,
    "421": "421 4.3.2 bye",
    "garbage": "what",
    "half a reply": (b"250 o", END),
    "the reply to DATA": "354 go",
    "the reply to a recipient": "250 2.1.5 ok",
}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("offer", OFFERS)
def test_delivery_is_uncertain_if_the_content_was_sent_without_a_reply(send, offer, lost):
    answers = {
        "BDAT": [("250 a\n250 b", LOST[lost])],
        "DATA": ["250 a\n250 b\n354 go", LOST[lost]],
        "no pipelining": ["250 a", "250 b", "354 go", LOST[lost]],
    }[offer]
    with pytest.raises(DeliveryUncertain, match="delivery is uncertain") as raised:
        send(OFFERS[offer], *answers)
    assert not raised.value.transient
    assert raised.value.phase is Phase.FINAL
    assert raised.value.code == {"421": 421, "the reply to DATA": 354, "the reply to a recipient": 250}.get(lost)
    assert SHORT.message_id in str(raised.value)
    assert send.session.wire.closed


NAMES_CHUNKING = r"setting chunking is on\. If mail\.test:25, or a gateway .* does not handle BDAT, turn it off\."


@pytest.mark.parametrize("lost", [END, SILENCE])
@pytest.mark.parametrize("offer", OFFERS)
def test_a_bdat_without_a_reply_names_the_setting(send, offer, lost):
    """Servers and gateways that do not handle BDAT stop answering or close the connection."""
    answers = {
        "BDAT": [lost],
        "DATA": ["250 a\n250 b\n354 go", lost],
        "no pipelining": ["250 a", "250 b", "354 go", lost],
    }[offer]
    with pytest.raises(DeliveryUncertain) as raised:
        send(OFFERS[offer], *answers)
    assert bool(re.search(NAMES_CHUNKING, str(raised.value))) is (offer == "BDAT")
    assert str(raised.value).endswith("before you send it again.")


@pytest.mark.parametrize("offer", [BDAT, ("CHUNKING",), DATA])
def test_a_connection_that_breaks_during_bdat_names_the_setting(send, offer):
    go = ["250 a\n250 b"] if "PIPELINING" in offer else ["250 a", "250 b"]
    if offer == DATA:
        go = ["250 a\n250 b\n354 go"]
    with pytest.raises(Disconnected) as raised:
        send(offer, *go, Breaks(), note=Note(raw=LARGE))
    assert raised.value.transient
    assert bool(re.search(NAMES_CHUNKING, str(raised.value))) is ("CHUNKING" in offer)


def test_a_bdat_that_the_server_answered_does_not_name_the_setting(send):
    with pytest.raises(DeliveryUncertain) as raised:
        send(BDAT, "250 a\n250 b\n421 bye")
    assert "chunking" not in str(raised.value)


@pytest.mark.parametrize(
    ("replies", "error", "transient"),
    [
        (END, DeliveryUncertain, False),
        (SILENCE, DeliveryUncertain, False),
        ("what", DeliveryUncertain, False),
        (("250 a", END), DeliveryUncertain, False),
        (("250 a\n250 b\n550 c", END), DeliveryUncertain, False),
        (("250 a\n550 b", END), DeliveryUncertain, False),
        (("550 a", END), Refused, False),
        (("550 a", SILENCE), Refused, False),
        (("450 a\n503 b", END), Refused, True),
        (("550 a\nwhat"), Refused, False),
        (("250 a\n550 b\n550 c", END), RecipientsRefused, False),
        (("250 a\n450 b\n450 c", SILENCE), RecipientsRefused, True),
        ("421 bye", Refused, True),
        ("250 a\n421 bye", Refused, True),
        ("250 a\n250 b\n421 bye", Refused, True),
        ("250 a\n550 b\n421 bye", Refused, True),
        ("250 a\n250 b\n250 c\n421 bye", DeliveryUncertain, False),
        ("250 a\n550 b\n550 c\n421 bye", RecipientsRefused, False),
    ],
)
def test_replies_before_the_connection_broke_decide_whether_delivery_is_uncertain(send, replies, error, transient):
    """The content was sent with the envelope: delivery is uncertain unless the envelope was refused."""
    with pytest.raises(SmtpError) as raised:
        send(BDAT, replies, note=Note(recipients=TWO))
    assert type(raised.value) is error
    assert raised.value.transient is transient
    assert send.session.wire.closed


@pytest.mark.parametrize("offer", [BDAT, DATA])
@pytest.mark.parametrize(
    ("last_words", "error", "code"),
    [
        ("", Disconnected, None),
        ("250 a", Disconnected, None),
        ("250 a\n550 b", Disconnected, None),
        ("250 a\n250 b\n250 c", Disconnected, None),
        ("421 4.7.0 too many", Refused, 421),
        ("250 a\n550 b\n421 4.7.0 too many errors", Refused, 421),
        ("550 a", Refused, 550),
        ("250 a\n451 b\n550 c", RecipientsRefused, 451),
        ("250 a\n250 b\n250 c\n552 5.3.4 too big", Refused, 552),
    ],
)
def test_an_incomplete_envelope_was_not_delivered(driver, send, offer, last_words, error, code):
    """The reason is a refusal of the sender or of all recipients, or a 421; not the refusal of one recipient."""
    with pytest.raises(error) as raised:
        send(offer, Breaks(last_words), note=Note(recipients=TWO))
    assert type(raised.value) is error
    assert raised.value.code == code
    assert raised.value.transient is (code is None or code < 500) or error is RecipientsRefused
    assert send.session.wire.closed
    assert driver.writes == []


def test_a_reply_during_the_content_is_not_the_final_reply(send):
    with pytest.raises(Disconnected):
        send(BDAT, Breaks("250 a\n250 b\n250 queued"))


@pytest.mark.parametrize("offer", [BDAT, DATA])
@pytest.mark.parametrize(
    ("last_words", "error", "code"),
    [("", Disconnected, None), ("552 5.3.4 too big", Refused, 552), ("421 4.3.1 disk full", Refused, 421)],
)
def test_the_last_reply_before_an_end_during_the_content_is_the_reason(send, offer, last_words, error, code):
    go = "250 a\n250 b" if offer is BDAT else "250 a\n250 b\n354 go"
    with pytest.raises(error) as raised:
        send(offer, go, Breaks(last_words), note=Note(raw=LARGE))
    assert raised.value.code == code
    assert raised.value.transient is (code != 552)
    assert send.session.wire.closed


def test_after_a_refusal_during_the_content_the_rest_is_not_sent(driver, send):
    """The server would read the next command as content, so the session ends."""
    with pytest.raises(Refused, match="before its end: 552 too big") as raised:
        send(BDAT, "250 a\n250 b", "552 too big", note=Note(raw=LARGE))
    assert not raised.value.transient
    assert raised.value.phase is Phase.CONTENT
    assert len(b"".join(driver.writes)) < len(LARGE)
    assert send.session.wire.closed


@pytest.mark.parametrize("reply", ["250 queued", "354 go", "what?"])
def test_any_other_reply_during_the_content_stops_it(driver, send, reply):
    with pytest.raises(ProtocolError):
        send(BDAT, "250 a\n250 b", reply, note=Note(raw=LARGE))
    assert len(b"".join(driver.writes)) < len(LARGE)
    assert send.session.wire.closed


@pytest.mark.parametrize("surplus", ["250 queued", "354 go"])
def test_a_reply_before_the_content_is_not_the_final_reply(driver, send, surplus):
    with pytest.raises(ProtocolError):
        send(DATA, f"250 a\n250 b\n354 go\n{surplus}")
    assert len(driver.writes) == 1
