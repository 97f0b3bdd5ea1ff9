r"""The Kerberos ticket of a Windows user with a password: ``DOMAIN\user`` and ``user@suffix`` are not principals.

Such names are sent to the KDC as enterprise names (NT-ENTERPRISE; RFC 6806, section 5), which it replaces by the
account's own principal. Active Directory knows the NetBIOS name of a domain there, and every suffix of a user
principal name (UPN).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from krb5 import Context, Creds, Principal

# Error codes of MIT krb5 and Heimdal (krb5_err.et).
UNKNOWN_USER = -1765328378
UNKNOWN_REALMS = (-1765328230, -1765328164)


def name_and_domain(username: str) -> tuple[str, str]:
    r"""Return the two parts of ``DOMAIN\user`` or ``user@domain``; the domain of a bare name is ""."""
    domain, backslash, name = username.rpartition("\\")
    if not backslash:
        name, _, domain = username.partition("@")
    return name, domain


@contextmanager
def ticket_cache(username: str, password: str) -> Iterator[str]:
    r"""Get a ticket-granting ticket, and yield the name of a cache in memory with it; it is destroyed afterwards.

    The KDC sees the password once, even if it is wrong.

    Args:
        username: ``DOMAIN\user``, ``user@suffix``, ``user@REALM`` or ``user``.
        password: the user's password.

    Raises:
        krb5.Krb5Error: no KDC issued a ticket.
        ImportError: the extra ``kerberos`` is not installed.
    """
    import krb5  # noqa: PLC0415 - of the extra kerberos

    context = krb5.init_context()
    ticket = _log_in(context, username, password)
    cache = krb5.cc_new_unique(context, b"MEMORY")
    try:
        krb5.cc_initialize(context, cache, ticket.client)
        krb5.cc_store_cred(context, cache, ticket)
        yield f"MEMORY:{(cache.name or b'').decode()}"
    finally:
        krb5.cc_destroy(context, cache)


def _log_in(context: Context, username: str, password: str) -> Creds:
    """Ask for a ticket by one principal after the other, until a KDC knows one."""
    from krb5 import Krb5Error  # noqa: PLC0415 - as above

    failure: Krb5Error | None = None
    unknown_realms: set[bytes] = set()
    for principal in _principals(context, username):
        if principal.realm in unknown_realms:
            continue
        try:
            return _request_ticket(context, principal, password)
        except Krb5Error as error:
            if error.err_code in UNKNOWN_REALMS:
                unknown_realms.add(principal.realm)
            elif error.err_code != UNKNOWN_USER:
                raise
            if failure is None or error.err_code == UNKNOWN_USER:
                failure = error.with_traceback(None)  # it would refer to this frame: see forget_locals()
    assert failure is not None, "there is a principal for every name"  # noqa: S101
    raise failure


def _principals(context: Context, username: str) -> Iterator[Principal]:
    """Yield what the user may be called at a KDC, most likely first.

    KDCs of other software than Windows may not know enterprise names.

    Raises:
        krb5.Krb5Error: the next one needs the default realm, and krb5.conf sets none.
    """
    import krb5  # noqa: PLC0415 - as above

    def plain(realm: bytes) -> Principal:
        return krb5.build_principal(context, realm, [part.encode() for part in name.split("/")])

    def enterprise(realm: bytes) -> Principal:
        principal = krb5.build_principal(context, realm, [f"{name}@{domain}".encode()])
        principal.type = krb5.NameType.enterprise_principal
        return principal

    name, domain = name_and_domain(username)
    realm = domain.upper().encode()  # realms of Windows KDCs are in upper case
    if not domain:
        yield plain(krb5.get_default_realm(context))
    elif "." in domain:  # a realm, or the suffix of a UPN
        yield enterprise(realm)
        yield plain(realm)
        if (default_realm := krb5.get_default_realm(context)) != realm:
            yield enterprise(default_realm)
    else:  # a NetBIOS name, which is not looked up in the DNS unless it must be a realm
        yield enterprise(krb5.get_default_realm(context))
        yield plain(realm)


def _request_ticket(context: Context, principal: Principal, password: str) -> Creds:
    """Request a ticket-granting ticket.

    ``krb5_get_init_creds_password`` would try a wrong password again at the realm's primary KDC.
    """
    import krb5  # noqa: PLC0415 - as above

    options = krb5.get_init_creds_opt_alloc(context)
    krb5.get_init_creds_opt_set_canonicalize(options, canonicalize=True)
    request = krb5.init_creds_init(context, principal, k5_gic_options=options)
    # No error of the encoding, because it would contain the password.
    krb5.init_creds_set_password(context, request, password.encode(errors="surrogatepass"))
    krb5.init_creds_get(context, request)
    return krb5.init_creds_get_creds(context, request)
