"""pyspnego, imported without what most logins do not use.

``import spnego`` imports all that it can use. Two parts of that take nearly half of the time:

- CredSSP, with X.509 from ``cryptography``; SMTP does not use it.
- ``krb5``, which only Kerberos with a password, a keytab or a named ticket cache uses.

During the import, stand-ins replace these modules. They import them when they are used, by this package or by another
library in the same process. Another thread may find the one of ``krb5`` during the import, and use it.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec


def _credssp() -> ModuleType:
    def credssp_proxy(*args: Any, **kwargs: Any) -> Any:
        return import_module("spnego._credssp").CredSSPProxy(*args, **kwargs)

    stand_in = ModuleType("spnego._credssp")
    vars(stand_in)["CredSSPProxy"] = credssp_proxy
    return stand_in


def _krb5(spec: ModuleSpec) -> ModuleType:
    def attribute(name: str) -> Any:
        if sys.modules.get("krb5") is stand_in:
            del sys.modules["krb5"]
        return getattr(import_module("krb5"), name)

    stand_in = module_from_spec(spec)
    vars(stand_in)["__getattr__"] = attribute
    return stand_in


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Let imports find the stand-ins, except for modules that were imported before."""
    spec = find_spec("krb5")  # if it is missing, pyspnego must notice it
    stand_ins = {"spnego._credssp": _credssp()} | ({"krb5": _krb5(spec)} if spec else {})
    for name, module in stand_ins.items():
        sys.modules.setdefault(name, module)
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


# Each "as" is an export for the other modules of this package, and no public one, as in __all__.
with _stand_ins():
    import spnego as spnego  # noqa: PLC0414
    from spnego._negotiate import NegotiateProxy as NegotiateProxy  # noqa: PLC0414 - its public module is deprecated
    from spnego.channel_bindings import GssChannelBindings as GssChannelBindings  # noqa: PLC0414
