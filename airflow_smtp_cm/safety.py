"""Safety settings: restrictions on all mail of a deployment, and its house style (``[smtp_cm]`` in Airflow).

``permitted`` is applied where a message is composed (``task.composition``) or given to ``SmtpCmHook.send``, before
anything is sent. As the message policy of the hook's connections, it is applied once more to every message in
``Transaction.prepare``, whatever made it.
"""

from __future__ import annotations

import os
import re
from configparser import InterpolationError
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, overload

from airflow.providers.common.compat.sdk import conf

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.characters.invisible import without_margins
from airflow_smtp_cm.mail.addresses import Address, parse_line, parse_sender
from airflow_smtp_cm.mail.errors import InvalidAddress, InvalidMessage
from airflow_smtp_cm.mail.house_style import HouseStyle
from airflow_smtp_cm.mail.message import MailMessage
from airflow_smtp_cm.problems import Problems, read_each
from airflow_smtp_cm.shortening import listed
from airflow_smtp_cm.smtp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from airflow_smtp_cm.smtp.interfaces import Outgoing

_SECTION = "smtp_cm"
_RESTRICTIONS = ("redirect_all_to", "allowed_recipient_domains")  # no other section has options of these names
_OPTIONS = (*_RESTRICTIONS, "default_from", "subject_prefix", "html_template")
# The section and its options in the environment, rightly spelt or nearly so.
_LIKE_SECTION = re.compile(r"(airflow[\W_]*)?smtp[\W_]*cm[\W_]*", re.IGNORECASE)
_LIKE_VARIABLE = re.compile(
    rf"AIRFLOW_+(AIRFLOW_+)?SMTP[\W_]*CM[\W_]+.+|AIRFLOW__.+__({'|'.join(_RESTRICTIONS)})", re.IGNORECASE
)
_SEPARATORS = r"[\s,;]+"
_MOST_IN_SUBJECT = 3  # recipients; the headers have all of them


class SafetySettings(NamedTuple):
    """The safety settings of a deployment.

    Attributes:
        redirect_all_to: the addresses that get every message instead of its recipients; if empty, nothing is
            redirected.
        allowed_recipient_domains: the domains to which mail may be sent, redirected or not; if empty, all.
        default_from: the sender if neither the task nor the connection has one.
        house_style: the prefix of subjects and the template around HTML bodies. They are applied where a message is
            composed, and only there: a message may opt out.
    """

    redirect_all_to: tuple[Address, ...] = ()
    allowed_recipient_domains: frozenset[str] = frozenset()
    default_from: str | None = None
    house_style: HouseStyle = HouseStyle()

    @classmethod
    def from_config(cls) -> Self:
        """Return the settings in Airflow's configuration.

        Raises:
            SettingsError: an option is invalid, or there is no such option; then no message is sent.
        """
        problems = Problems(_unknown_options())
        redirect = problems.attempt(_addresses, _option("redirect_all_to"), field=f"[{_SECTION}] redirect_all_to")
        domains = problems.attempt(
            _domains, _option("allowed_recipient_domains"), field=f"[{_SECTION}] allowed_recipient_domains"
        )
        default_from = _option("default_from")
        if default_from:
            problems.attempt(parse_sender, default_from, field=f"[{_SECTION}] default_from")
        problems.raise_as(SettingsError)
        return cls(
            redirect_all_to=redirect or (),
            allowed_recipient_domains=frozenset(domains or ()),
            default_from=default_from or None,
            house_style=HouseStyle(subject_prefix=_option("subject_prefix"), html_template=_option("html_template")),
        )

    @overload
    def permitted(self, message: MailMessage) -> MailMessage: ...

    @overload
    def permitted(self, message: Outgoing) -> Outgoing: ...

    def permitted(self, message: Outgoing) -> Outgoing:
        """Return the message that may be sent: the same one, or a redirected one.

        It is applied when a message is composed, before anything connects. The client applies it again, as its
        message policy, to every message that it sends, so that it cannot be bypassed. There, a composed message is
        unchanged.

        Raises:
            InvalidMessage: it must not be sent to its recipients, or cannot be redirected.
        """
        if not self._is_redirected(message):
            if not isinstance(message, MailMessage):
                raise InvalidMessage(
                    f"Only a MailMessage can be redirected to [{_SECTION}] redirect_all_to, "
                    f"not {type(message).__name__}."
                )
            message = self._redirected(message)
        self._check_domains(message)
        return message

    def effects_on(self, message: MailMessage) -> Iterator[str]:
        """Yield what the settings have changed in a message that ``permitted`` returned, and what they allow."""
        if self.redirect_all_to:
            redirect = ", ".join(map(str, self.redirect_all_to))
            yield (
                f"[{_SECTION}] redirect_all_to: The message goes only to {redirect}. Its own recipients are in the "
                f"header X-Original-To, X-Original-Cc or X-Original-Bcc."
            )
        if self.allowed_recipient_domains:
            allowed = ", ".join(sorted(self.allowed_recipient_domains))
            yield f"[{_SECTION}] allowed_recipient_domains: All recipients are in {allowed}."
        if self.default_from and message.from_email == parse_sender(self.default_from):
            yield f"[{_SECTION}] default_from: The sender is {message.from_email}."

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
            subject=f"[to {listed(message.recipients, _MOST_IN_SUBJECT)}] {message.subject}".rstrip(),
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
                f"This Airflow must not send mail to {', '.join(outside)}: [{_SECTION}] allowed_recipient_domains "
                f"permits only {', '.join(sorted(allowed))}. Nothing was sent."
            )


def _unknown_options() -> Iterator[str]:
    """Yield the problems with options that do not exist: a restriction must not be lost because of its spelling."""
    shown = [
        f"[{section}] {option}"
        for section in conf.sections()
        for option in conf.options(section)
        if (_LIKE_SECTION.fullmatch(section) or option in _RESTRICTIONS)
        and not (section == _SECTION and option in _OPTIONS)
    ]
    known = {f"AIRFLOW__{_SECTION}__{option}".upper() for option in _OPTIONS}
    shown += filter(_LIKE_VARIABLE.fullmatch, os.environ.keys() - known)
    for name in sorted(shown):
        yield (
            f"Airflow's configuration has the unknown option {visible(name)}. The options of [{_SECTION}] are "
            f"{', '.join(_OPTIONS)}; in the environment, {', '.join(sorted(known))}."
        )


def _addresses(text: str) -> tuple[Address, ...]:
    addresses = parse_line(text)
    if text and not addresses:
        raise InvalidAddress("It contains no address.")
    return addresses


def _domains(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    domains = read_each(_domain, filter(None, re.split(_SEPARATORS, text)), InvalidAddress)
    if not domains:
        raise InvalidAddress("It contains no domain.")
    return domains


def _domain(name: str) -> tuple[str]:
    return (Address("", "anybody", without_margins(name)).domain.lower(),)


def _option(name: str) -> str:
    try:
        value: str | None = conf.get(_SECTION, name, fallback=None)
    except InterpolationError as error:
        raise SettingsError(
            f"[{_SECTION}] {name}: Airflow cannot read the value. In airflow.cfg, write % as %%."
        ) from error
    return (value or "").strip()
