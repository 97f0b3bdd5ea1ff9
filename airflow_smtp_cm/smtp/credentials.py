r"""Credentials of Windows identities for pyspnego, and the errors of Kerberos.

A Kerberos error has one of five forms: ``krb5.Krb5Error``, ``GSSError`` of ``gssapi``, ``SpnegoError`` of pyspnego
around either, ``BadMechanismError`` around any of these, ``ImportError``. The innermost Kerberos code is decisive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import spnego

from airflow_smtp_cm.smtp.errors import CredentialError, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_smtp_cm.smtp.settings import Identity


@dataclass(frozen=True, slots=True)
class _KerberosFault:
    """The explanation of a Kerberos error code.

    Attributes:
        meaning: what is wrong and what to do; may contain {principal} and {spn}.
        account_refused: whether the KDC refused the account, so that its password must not be tried with NTLM.
        transient: whether the same attempt may succeed later.
    """

    meaning: str
    account_refused: bool = False
    transient: bool = False


_WRONG_PASSWORD = _KerberosFault(
    "The KDC refused the password or key of {principal}. Correct it. It was tried only once, so that the account "
    "is not locked.",
    account_refused=True,
)
_NO_TICKET = _KerberosFault(
    "There is no Kerberos ticket. Get one (kinit, or `airflow kerberos` with Airflow's [kerberos] settings), or set "
    "a keytab, or a user and a password, in the connection."
)
_UNREACHABLE = _KerberosFault("No KDC of the realm can be reached. Check krb5.conf and the network.", transient=True)
_NO_REALM = _KerberosFault(
    "No KDC is configured for the realm of {principal}. Set the user as user@REALM with a realm of krb5.conf, or "
    "check krb5.conf."
)

_UNKNOWN_USER = _KerberosFault("The KDC does not know {principal}. Check the user's name and realm.")

# The codes are the same in MIT krb5 and Heimdal: krb5_err.et, base -1765328384.
_KERBEROS_FAULTS = {
    -1765328378: _UNKNOWN_USER,
    -1765328377: _KerberosFault(
        "The KDC does not know the service {spn}. If the server is registered under another name, set the server "
        "name or the SPN (on Windows, `setspn -Q SMTPSVC/*` lists them)."
    ),
    -1765328366: _KerberosFault("The account {principal} is disabled or locked.", account_refused=True),
    -1765328361: _KerberosFault("The password of {principal} has expired.", account_refused=True),
    -1765328360: _WRONG_PASSWORD,
    -1765328353: _WRONG_PASSWORD,
    -1765328352: _KerberosFault("The Kerberos ticket has expired. Get a new one (kinit or `airflow kerberos`)."),
    -1765328347: _KerberosFault(
        "The clocks of this machine and of the KDC differ too much. Set this machine's clock."
    ),
    -1765328243: _NO_TICKET,
    -1765328230: _NO_REALM,
    -1765328228: _UNREACHABLE,
    -1765328203: _KerberosFault("The keytab contains no key for {principal}."),
    -1765328189: _NO_TICKET,
    -1765328164: _NO_REALM,
    -1765328160: _KerberosFault(
        "Kerberos has no default realm. Set the user as user@REALM, or set default_realm in krb5.conf."
    ),
}
_FAULTS_OF_IDENTITY = (_WRONG_PASSWORD, _UNKNOWN_USER, _NO_REALM)


def kerberos_principal(username: str) -> str:
    r"""Return the Kerberos principal of a Windows user: ``DOMAIN\user`` and ``user@domain`` become ``user@DOMAIN``.

    Realms of Windows KDCs are in upper case.
    """
    domain, backslash, user = username.rpartition("\\")
    if not backslash:
        user, _, domain = username.partition("@")
    return f"{user}@{domain.upper()}" if domain else user


def kerberos_credential(identity: Identity) -> spnego.Credential:
    """Return the credential for a Kerberos login: password, keytab, ticket cache, or the process's default cache."""
    principal = kerberos_principal(identity.username) if identity.username else None
    if principal and identity.password is not None:
        return spnego.Password(principal, identity.password)
    if identity.keytab:
        return spnego.KerberosKeytab(identity.keytab, principal)
    if identity.ccache:
        return spnego.KerberosCCache(identity.ccache, principal)
    return spnego.CredentialCache(principal)


def ntlm_credential(identity: Identity) -> spnego.Credential:
    """Return the credential for an NTLM login."""
    return spnego.Password(identity.username or "", identity.password or "")


def typing_doubt(identity: Identity) -> str:
    r"""Return a sentence, after a failed login, about what may be a typing error; "" if nothing may be one."""
    doubts = []
    username, password = identity.username or "", identity.password or ""
    if "\\" in username and "@" in username:
        doubts.append("the user name has both a domain and a suffix")
    if "\\" not in username and any(sign in username for sign in "¥₩"):
        doubts.append("the user name has a currency sign instead of a backslash")
    if "/" in username and password:
        doubts.append("the user name has a slash")
    if password != password.strip():
        doubts.append("the password begins or ends with a space")
    if not password.strip().isprintable():
        doubts.append("the password contains an invisible character")
    doubts += [
        f"the {name} is in quotation marks"
        for name, value in (("user name", username), ("password", password))
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    ]
    return f" Possible typing error: {', and '.join(doubts)}." if doubts else ""


def credential_error(error: Exception, identity: Identity, attempt: str, spn: str) -> CredentialError:
    """Return the error for credentials that failed before the mail server was asked."""
    *_, innermost = _chain(error)
    detail = " ".join(str(innermost).split())
    fault = _fault(error)
    if fault is None:
        missing = any(isinstance(inner, ImportError) for inner in _chain(error))
        meaning = (
            "Kerberos needs the extra `airflow-smtp-cm[kerberos]`, which is not installed on this machine."
            if missing
            else "Check the user, the keytab or ticket, and krb5.conf."
        )
    else:
        principal = kerberos_principal(identity.username) if identity.username else "the ticket's owner"
        meaning = fault.meaning.format(principal=principal, spn=spn)
    doubt = typing_doubt(identity) if fault in _FAULTS_OF_IDENTITY else ""
    failure = CredentialError(
        f"Windows authentication by {attempt} could not start. {meaning} ({detail}){doubt}",
        phase=Phase.AUTH,
        transient=fault is not None and fault.transient,
    )
    failure.account_refused = fault is not None and fault.account_refused
    return failure


def _fault(error: Exception) -> _KerberosFault | None:
    for inner in _chain(error):
        code = getattr(inner, "err_code", None)  # krb5.Krb5Error
        if code is None and (minor := getattr(inner, "min_code", None)):  # gssapi's GSSError: the same, unsigned
            code = minor - (1 << 32)
        if fault := _KERBEROS_FAULTS.get(code or 0):
            return fault
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "base_error", None) or error.__cause__
