"""Safety settings: what a deployment permits, whatever its DAGs say (Airflow's configuration, ``[smtp_cm]``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, overload

from airflow.providers.common.compat.sdk import conf

from airflow_smtp_cm.mail.addresses import Address, parse_line
from airflow_smtp_cm.mail.errors import InvalidAddress, InvalidMessage
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.problems import Problems, read_each
from airflow_smtp_cm.smtp.errors import SettingsError

if TYPE_CHECKING:
    from typing import Self

    from airflow_smtp_cm.smtp.interfaces import Outgoing

_SECTION = "smtp_cm"
_SEPARATORS = re.compile(r"[\s,;]+")
_NAMED_IN_A_SUBJECT = 3  # recipients; all of them are in the headers


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetySettings:
    """What a deployment permits to be sent.

    Attributes:
        redirect_all_to: who gets every message instead of its recipients; if empty, nothing is redirected.
        allowed_recipient_domains: where mail may go, redirected or not; if empty, anywhere.
        default_from: the sender where neither the message nor the connection names one.
    """

    redirect_all_to: tuple[Address, ...] = ()
    allowed_recipient_domains: frozenset[str] = frozenset()
    default_from: str | None = None

    @classmethod
    def from_config(cls) -> Self:
        """Read Airflow's configuration.

        Raises:
            SettingsError: an option has a value that says nothing; no message may pass then.
        """
        problems = Problems()
        redirect = problems.attempt(parse_line, _option("redirect_all_to"), field=f"[{_SECTION}] redirect_all_to")
        domains = problems.attempt(
            _domains, _option("allowed_recipient_domains"), field=f"[{_SECTION}] allowed_recipient_domains"
        )
        problems.raise_as(SettingsError)
        return cls(
            redirect_all_to=redirect or (),
            allowed_recipient_domains=frozenset(domains or ()),
            default_from=_option("default_from") or None,
        )

    @overload
    def permitted(self, message: MailMessage) -> MailMessage: ...

    @overload
    def permitted(self, message: Outgoing) -> Outgoing: ...

    def permitted(self, message: Outgoing) -> Outgoing:
        """Return the message that may be sent: a permitted one as it is, else a redirected one.

        Composition applies it, before anything connects. The client applies it again to whatever it is to send, its
        message policy, so that nothing goes round it: what was composed passes there as it is.

        Raises:
            InvalidMessage: it may not go to its recipients, or cannot be redirected.
        """
        if not self._is_redirected(message):
            if not isinstance(message, MailMessage):
                raise InvalidMessage(
                    f"Only a MailMessage can be redirected as [{_SECTION}] redirect_all_to demands, "
                    f"not {type(message).__name__}."
                )
            message = self._redirected(message)
        self._check_domains(message)
        return message

    def _is_redirected(self, message: Outgoing) -> bool:
        redirect = {address.addr_spec for address in self.redirect_all_to}
        return not redirect or redirect.issuperset(message.recipients)

    def _redirected(self, message: MailMessage) -> MailMessage:
        lines = {"To": message.to, "Cc": message.cc, "Bcc": message.bcc}
        return replace(
            message,
            to=self.redirect_all_to,
            cc=(),
            bcc=(),
            subject=f"[to {_named(message.recipients)}] {message.subject}".rstrip(),
            headers={
                **message.headers,
                **{f"X-Original-{name}": ", ".join(map(str, line)) for name, line in lines.items() if line},
            },
        )

    def _check_domains(self, message: Outgoing) -> None:
        allowed = self.allowed_recipient_domains
        outside = [address for address in message.recipients if address.rpartition("@")[2].lower() not in allowed]
        if allowed and outside:
            raise InvalidMessage(
                f"This Airflow may not send mail to {', '.join(outside)}: [{_SECTION}] allowed_recipient_domains "
                f"has {', '.join(sorted(allowed))} only. Nothing was sent."
            )


def _domains(text: str) -> tuple[str, ...]:
    return read_each(_domain, filter(None, _SEPARATORS.split(text)), InvalidAddress)


def _domain(name: str) -> tuple[str]:
    return (Address("", "anybody", name).domain.lower(),)


def _option(name: str) -> str:
    value: str | None = conf.get(_SECTION, name, fallback=None)
    return (value or "").strip()


def _named(recipients: tuple[str, ...]) -> str:
    named = ", ".join(recipients[:_NAMED_IN_A_SUBJECT])
    more = len(recipients) - _NAMED_IN_A_SUBJECT
    return f"{named} and {more} more" if more > 0 else named
