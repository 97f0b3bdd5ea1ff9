"""The users of the realm, and the name of its mail server."""

from __future__ import annotations

from dataclasses import dataclass, field

REALM = "CORP.TEST"
DOMAIN = "CORP"
MAIL_DOMAIN = "corp.test"
MAIL_HOST = "mail.corp.test"


@dataclass(frozen=True, slots=True)
class User:
    """A user with an account."""

    name: str
    password: str = field(repr=False)

    @property
    def address(self) -> str:
        """E-mail address."""
        return f"{self.name}@{MAIL_DOMAIN}"

    @property
    def principal(self) -> str:
        """Kerberos principal, ``user@REALM``."""
        return f"{self.name}@{REALM}"

    @property
    def down_level(self) -> str:
        r"""Windows down-level logon name, ``DOMAIN\user``."""
        return f"{DOMAIN}\\{self.name}"


ALICE = User("alice", "Wonder-Land-1!")
BOB = User("bob", "Second-User-2!")

# Only the KDCs have these: a disabled account, an expired one, and one whose password has expired.
MALLORY = User("mallory", "Third-User-3!")
PEGGY = User("peggy", "Seventh-User-7!")
TRUDY = User("trudy", "Fourth-User-4!")

# Only the MIT KDC has this one, under an enterprise name, as if the realm were a domain of a forest.
WALTER = User("walter@mail.forest.test", "Eighth-User-8!")

# The users that servers accept with NTLM, in the format of NTLM_USER_FILE of gss-ntlmssp.
NTLM_USERS = "".join(f"{DOMAIN}:{user.name}:{user.password}\n" for user in (ALICE, BOB))
