r"""Credentials of Windows identities for pyspnego, and the errors of Kerberos.

A Kerberos error has one of five forms: ``krb5.Krb5Error``, ``GSSError`` of ``gssapi``, ``SpnegoError`` of pyspnego
around either, ``BadMechanismError`` around any of these, ``ImportError``. The innermost Kerberos code is decisive.
"""

from __future__ import annotations

import re
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from airflow_smtp_cm.smtp.errors import CredentialError, Phase
from airflow_smtp_cm.smtp.pyspnego import spnego
from airflow_smtp_cm.smtp.ticket import UNKNOWN_REALMS, UNKNOWN_USER, NoKdcKnown, name_and_domain, ticket_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_smtp_cm.smtp.settings import Identity
    from airflow_smtp_cm.smtp.ticket import Principal


class _KerberosFault(NamedTuple):
    """The explanation of a Kerberos error code.

    Attributes:
        meaning: what is wrong and what to do; may contain {user}, {realm} and {spn}.
        account_refused: whether the KDC refused the account, so that its password must not be tried with NTLM.
        transient: whether the same attempt may succeed later.
    """

    meaning: str
    account_refused: bool = False
    transient: bool = False


_WRONG_PASSWORD = _KerberosFault(
    "The KDC refused the password or key of {user}. Correct it. It was tried only once, so that the account "
    "is not locked.",
    account_refused=True,
)
_NO_TICKET = _KerberosFault(
    "There is no Kerberos ticket. Get one (kinit, or `airflow kerberos` with Airflow's [kerberos] settings), or set "
    "a keytab, or a user and a password, in the connection."
)
_UNREACHABLE = _KerberosFault(
    "No KDC of {realm} can be reached. Check default_realm and [realms] in krb5.conf, and the network.",
    transient=True,
)
_NO_REALM = _KerberosFault(
    "No KDC is known for {realm}. Set default_realm in krb5.conf to the realm of the Active Directory domain, and "
    "its KDCs in [realms] if the DNS does not have them."
)
_UNKNOWN_USER = _KerberosFault("The KDC does not know {user}. Check the user's name and realm.")

_NOT_VALID = _KerberosFault(
    "The account {user} is disabled, locked or expired, or may not log in at this time.", account_refused=True
)

# The codes are the same in MIT krb5 and Heimdal: krb5_err.et, base -1765328384.
_KERBEROS_FAULTS = {
    UNKNOWN_USER: _UNKNOWN_USER,
    -1765328377: _KerberosFault(
        "The KDC does not know the service {spn}. If the server is registered under another name, set the server "
        "name or the SPN (on Windows, `setspn -Q SMTPSVC/*` lists them)."
    ),
    -1765328372: _KerberosFault("The domain's policies do not allow {user} to log in here.", account_refused=True),
    # Windows has one code for all of it; other KDCs have codes of their own for an account before and after its time.
    **dict.fromkeys((-1765328383, -1765328366, -1765328363), _NOT_VALID),
    -1765328361: _KerberosFault(
        "The password of {user} has expired or must be changed. Set a new one.", account_refused=True
    ),
    -1765328360: _WRONG_PASSWORD,
    -1765328353: _WRONG_PASSWORD,
    -1765328352: _KerberosFault("The Kerberos ticket has expired. Get a new one (kinit or `airflow kerberos`)."),
    -1765328347: _KerberosFault(
        "The clocks of this machine and of the KDC differ too much. Set this machine's clock."
    ),
    -1765328243: _NO_TICKET,
    -1765328228: _UNREACHABLE,
    -1765328203: _KerberosFault("The keytab contains no key for {user}."),
    -1765328189: _NO_TICKET,
    -1765328160: _KerberosFault(
        "Kerberos has no default realm, which it needs to find the KDC of {user}. Set default_realm in krb5.conf to "
        "the realm of the Active Directory domain: its DNS name in capitals, such as CORP.EXAMPLE."
    ),
    **dict.fromkeys(UNKNOWN_REALMS, _NO_REALM),
}
# In the messages of the Kerberos library: Cannot contact any KDC for realm 'CORP.EXAMPLE'.
_REALM = re.compile(r"""\brealm ['"]([^'"\s]+)['"]""")
_FAULTS_OF_IDENTITY = (_WRONG_PASSWORD, _UNKNOWN_USER, _NO_REALM)


@contextmanager
def kerberos_credential(identity: Identity, found: Principal | None) -> Iterator[spnego.Credential]:
    """Yield the credential for a Kerberos login: password, keytab, ticket cache, or the process's default cache.

    A ticket that a password gets exists until the end of the block.

    Args:
        identity: the identity.
        found: the name by which the KDC knows a user with a password.
    """
    principal = _principal(identity.username) if identity.username else None
    if found and identity.password is not None:
        with ticket_cache(found, identity.password) as cache:
            yield spnego.KerberosCCache(cache)
    elif identity.keytab:
        yield spnego.KerberosKeytab(identity.keytab, principal)
    elif identity.ccache:
        yield spnego.KerberosCCache(identity.ccache, principal)
    else:
        yield spnego.CredentialCache(principal)


def _principal(username: str) -> str:
    r"""Return the principal in a keytab or ticket cache: ``DOMAIN\user`` and ``user@domain`` are ``user@DOMAIN``."""
    name, domain = name_and_domain(username)
    return f"{name}@{domain.upper()}" if domain else name


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


def forget_locals(error: Exception) -> None:
    """Clear the local variables in the tracebacks of an error: passwords, and objects of the package krb5.

    If such objects are part of a reference cycle, as tracebacks often are, the garbage collector may free them in an
    order that crashes the process.
    """
    for inner in _chain(error):
        traceback.clear_frames(inner.__traceback__)


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
        user = identity.username or "the ticket's owner"
        meaning = fault.meaning.format(user=user, realm=_realm(error, detail) or f"the realm of {user}", spn=spn)
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


def _realm(error: Exception, detail: str) -> str:
    """Return the realms that an error is about; empty if it names none."""
    for inner in _chain(error):
        if isinstance(inner, NoKdcKnown):
            named = " and ".join(inner.realms)
            return f"the realms {named}" if len(inner.realms) > 1 else f"the realm {named}"
    found = _REALM.search(detail)
    return f"the realm {found[1]}" if found else ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "base_error", None) or error.__cause__
