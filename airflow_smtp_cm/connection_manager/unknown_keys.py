"""Keys of the extra that a connection does not have: which are mistakes, and what to set instead.

A setting must not be lost because of its spelling, above all not one of TLS or of the login. A key is a mistake if it
is a known key in another spelling, or almost one, if other connection types and mailers use it for TLS or a login, or
if it is a safety setting of the deployment.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.connection_manager.fields import CONNECTION_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_TLS_KEYS = (
    "TLS is set by enable_ssl and tls_mode, the certificates by ca_bundle, verify_certificate and client_certificate"
)
_LOGIN_KEYS = (
    r"the login is set by use_windows_authentication, mechanism and keytab, with the connection's login (DOMAIN\user)"
    " and password; for basic authentication or OAuth, use a connection of Airflow's own type smtp"
)

_SAFETY = "it restricts all mail of a deployment: set it in Airflow's configuration, section [smtp_cm]"

# The standard fields of a connection, as the form, SSIS and other mailers call them.
_STANDARD_FIELDS = {
    "host": ("host", "hostname", "server", "smtpserver"),
    "port": ("port", "serverport"),
    "login": ("login", "user", "username", "userid", "uid"),
    "password": ("password", "passwd", "pass", "pwd"),
}
_RIGHT = {
    **{name: f"set the connection's {field}" for field, names in _STANDARD_FIELDS.items() for name in names},
    **dict.fromkeys(("redirectallto", "allowedrecipientdomains"), _SAFETY),
    **{
        re.sub(r"\W|_", "", spelling).lower(): f"the key is {item.name}"
        for item in CONNECTION_FIELDS
        for spelling in (item.name, item.label)
    },
}

# Airflow's own prefix of a field in the form, and words before the names of settings in other mailers.
_FORM_PREFIX = re.compile(r"extra__.+?__")
_PREFIXES = frozenset({"extra", "airflow", "smtp", "cm", "mail", "email"})

# Words in the names of settings of TLS, and of a login, in other connection types and mailers.
_TLS_WORDS = re.compile(
    r"(ssl|tls).*|.*(ssl|tls)|https|smtps|ca|ca(cert|file|path)s?|(root)?cert(s|file|ificates?)?|verif(y|ication)"
    r"|(in)?secure|security|encrypt(ed|ion)?|ciphers?|(plain|clear)text|(trust|key)store|keyfile|pem|pfx|p(kcs)?12|sni"
    r"|(self)?signed|fingerprints?|pinned|opportunistic"
)
_LOGIN_WORDS = re.compile(
    r"(x?o)?auth(?!ors?$).*|kerberos|krb.*|ntlm.*|gss.*|spnego|sspi|sasl|negotiate|mechanisms?|cred(s|entials?)"
    r"|principal|realm|password|passphrase|token|jwt|tenant|impersonat.*|anonymous|windows|integrated|trusted|ccache"
    r"|winauth|keytab|spn|kdc|sso|ldap"
)
_TLS_NAMES = frozenset(
    {"checkhostname", "hostnamecheck", "keyfile"} | {f"privatekey{kind}" for kind in ("", "file", "path")}
)
_LOGIN_NAMES = frozenset(
    {"clientid", "clientsecret", "scope", "domain", "apikey", "extendedprotection"}
    | {f"{whose}domain" for whose in ("ad", "nt", "user", "login")}
    | {f"login{kind}" for kind in ("type", "method", "mode")}
)

# Keys of Airflow's own type smtp that are harmless.
_REPLACEMENTS = {
    "retry_limit": "set retries in the task",
    "subject_template": "set subject in the task",
    "html_content_template": "set html_content in the task, or html_template in Airflow's configuration, [smtp_cm]",
}

_UNPACK = "put what it contains into the extra itself"

_BETWEEN_SETTINGS = re.compile(r"[\s/?&;=]+")
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATORS = re.compile(r"[\W_]+")
_SIMILARITY = 0.8  # of 1: one or two typing errors in a key


def problem_with(key: str, value: object = None) -> str | None:
    """Return the problem if an unknown key of the extra is a mistake; None if it resembles no known key.

    A key is a mistake, too, if its value is an object with keys that are known or mistakes.
    """
    advice = "; ".join(_advice(key))
    if not advice and isinstance(value, Mapping) and any(any(_advice(str(inner))) for inner in value):
        advice = _UNPACK
    return f'The extra has no key "{visible(key)}": {advice}.' if advice else None


def replacement_of(key: str) -> str:
    """Return what replaces an unknown key that is no mistake, in parentheses; empty if nothing does."""
    replacement = _REPLACEMENTS.get(key)
    return f" ({replacement})" if replacement else ""


def schema_problem(schema: str) -> str | None:
    """Return the problem if the connection's schema is a setting; else None.

    In Airflow's type http it asks for TLS. In a URI without the question mark before the extra, it is the extra.
    """
    uri = " In a URI, the extra begins with a question mark." if "=" in schema else ""
    for word in filter(None, _BETWEEN_SETTINGS.split(schema)):
        if advice := "; ".join(_advice(word)):
            # Only the key is shown: its value may be a secret.
            return f'The schema of the connection has "{visible(word)}", which has no meaning there: {advice}.{uri}'
    return None


def _advice(key: str) -> Iterator[str]:
    key = unicodedata.normalize("NFKC", key)
    words = _words(_FORM_PREFIX.sub("", key, count=1))
    names = ["".join(words)]
    if names == ["extra"]:
        yield _UNPACK
        return
    while words and words[0] in _PREFIXES:
        words = words[1:]
        names.append("".join(words))
    if right := next(filter(None, map(_RIGHT.get, names)), None):
        yield right
        return
    parts = {*words, *_SEPARATORS.split(key.lower())}
    about_tls = not _TLS_NAMES.isdisjoint(names) or any(map(_TLS_WORDS.fullmatch, parts))
    about_login = not _LOGIN_NAMES.isdisjoint(names) or any(map(_LOGIN_WORDS.fullmatch, parts))
    if about_tls:
        yield _TLS_KEYS
    if about_login:
        yield _LOGIN_KEYS
    if not about_tls and not about_login and (nearest := _nearest(names)):
        yield f"perhaps {nearest}"


def _words(key: str) -> list[str]:
    """Return the words of a key in lower case: they are separated by other characters, or in camel case."""
    return [word for word in _SEPARATORS.split(_CAMEL_CASE.sub("_", key).lower()) if word]


def _nearest(names: list[str]) -> str | None:
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    for name in names:
        if found := get_close_matches(name, _RIGHT, n=1, cutoff=_SIMILARITY):
            return _RIGHT[found[0]]
    return None
