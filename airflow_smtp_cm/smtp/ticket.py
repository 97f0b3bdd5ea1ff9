r"""The Kerberos ticket of a Windows user with a password: ``DOMAIN\user`` and ``user@suffix`` are not principals.

Such names are sent to the KDC as enterprise names (NT-ENTERPRISE; RFC 6806, section 5), which it replaces by the
account's own principal. Active Directory knows the NetBIOS name of a domain there, and every suffix of a user
principal name (UPN). First the name is looked for without the password, so that a KDC gets the password once.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import krb5

# Error codes of MIT krb5 (krb5_err.et).
UNKNOWN_USER = -1765328378
UNKNOWN_REALMS = (-1765328230, -1765328164)
_WRONG_REALM = -1765328316  # the KDC refers to another realm, whose user this is


class NoKdcKnown(Exception):
    """No KDC is known for any realm in which a user was looked for.

    Attributes:
        realms: the realms, in order.
    """

    def __init__(self, realms: Iterable[str]) -> None:
        super().__init__(*realms)
        self.realms: tuple[str, ...] = self.args


class Principal(NamedTuple):
    """A name in a realm: a principal, or an enterprise name if it has an @."""

    name: str
    realm: str


def name_and_domain(username: str) -> tuple[str, str]:
    r"""Return the two parts of ``DOMAIN\user`` or ``user@domain``; the domain of a bare name is ""."""
    domain, backslash, name = username.rpartition("\\")
    if not backslash:
        name, _, domain = username.partition("@")
    return name, domain


def find_principal(username: str) -> Principal:
    r"""Ask the KDCs, without the password, by which name they know a user.

    Args:
        username: ``DOMAIN\user``, ``user@suffix``, ``user@REALM`` or ``user``.

    Raises:
        krb5.Krb5Error: no KDC knows the user, or none answers.
        NoKdcKnown: there is no KDC to ask.
        ImportError: the extra ``kerberos`` is not installed.
    """
    import krb5  # noqa: PLC0415 - of the extra kerberos

    context = krb5.init_context()
    failure: krb5.Krb5Error | None = None
    unknown_realms: dict[str, None] = {}
    for principal in _principals(context, username):
        if principal.realm in unknown_realms:
            continue
        try:
            krb5.get_etype_info(context, _client(context, principal), _options(context))
        except krb5.Krb5Error as error:
            if error.err_code == _WRONG_REALM:
                return principal
            if error.err_code in UNKNOWN_REALMS:
                unknown_realms[principal.realm] = None
            elif error.err_code != UNKNOWN_USER:
                raise
            if failure is None or error.err_code == UNKNOWN_USER:
                failure = error.with_traceback(None)  # it would refer to this frame: see forget_locals()
        else:
            return principal
    assert failure is not None, "there is a principal for every name"  # noqa: S101
    if failure.err_code in UNKNOWN_REALMS:
        raise NoKdcKnown(unknown_realms) from failure
    raise failure


@contextmanager
def ticket_cache(principal: Principal, password: str) -> Iterator[str]:
    """Get a ticket-granting ticket, and yield the name of a cache in memory with it; it is destroyed afterwards.

    The KDC gets the password once, even if it is wrong: ``krb5_get_init_creds_password`` would try it again at the
    realm's primary KDC.

    Raises:
        krb5.Krb5Error: the KDC issued no ticket.
    """
    import krb5  # noqa: PLC0415 - as above

    context = krb5.init_context()
    options = _options(context)  # the request refers to it without owning it
    request = krb5.init_creds_init(context, _client(context, principal), k5_gic_options=options)
    # No error of the encoding, because it would contain the password.
    krb5.init_creds_set_password(context, request, password.encode(errors="surrogatepass"))
    krb5.init_creds_get(context, request)
    ticket = krb5.init_creds_get_creds(context, request)
    cache = krb5.cc_new_unique(context, b"MEMORY")
    try:
        krb5.cc_initialize(context, cache, ticket.client)
        krb5.cc_store_cred(context, cache, ticket)
        yield f"MEMORY:{(cache.name or b'').decode()}"
    finally:
        krb5.cc_destroy(context, cache)


def _principals(context: krb5.Context, username: str) -> Iterator[Principal]:
    """Yield what the user may be called at a KDC, most likely first.

    KDCs of other software than Windows may not know enterprise names.

    Raises:
        krb5.Krb5Error: the next one needs the default realm, and krb5.conf sets none.
    """
    import krb5  # noqa: PLC0415 - as above

    name, domain = name_and_domain(username)
    enterprise = f"{name}@{domain}"
    realm = domain.upper()  # realms of Windows KDCs are in upper case
    if not domain:
        yield Principal(name, krb5.get_default_realm(context).decode())
    elif "." in domain:  # a realm, or the suffix of a UPN
        yield Principal(enterprise, realm)
        yield Principal(name, realm)
        if (default_realm := krb5.get_default_realm(context).decode()) != realm:
            yield Principal(enterprise, default_realm)
    else:  # a NetBIOS name, which is not looked up in the DNS unless it must be a realm
        yield Principal(enterprise, krb5.get_default_realm(context).decode())
        yield Principal(name, realm)


def _client(context: krb5.Context, principal: Principal) -> krb5.Principal:
    import krb5  # noqa: PLC0415 - as above

    enterprise = "@" in principal.name
    components = [principal.name] if enterprise else principal.name.split("/")
    client = krb5.build_principal(context, principal.realm.encode(), [part.encode() for part in components])
    if enterprise:
        client.type = krb5.NameType.enterprise_principal
    return client


def _options(context: krb5.Context) -> krb5.GetInitCredsOpt:
    """Return the options of a request whose client the KDC replaces by the account's principal."""
    import krb5  # noqa: PLC0415 - as above

    options = krb5.get_init_creds_opt_alloc(context)
    krb5.get_init_creds_opt_set_canonicalize(options, canonicalize=True)
    return options
