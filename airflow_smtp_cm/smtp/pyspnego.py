"""pyspnego, imported without what most logins do not use.

``import spnego`` imports all that it can use. Two parts of that take nearly half of the time:

- CredSSP, with X.509 from ``cryptography``; SMTP does not use it.
- ``krb5``, which only Kerberos with a password, a keytab or a named ticket cache uses.

During the import, stand-ins replace these modules. They import them when they are used, by this package or by another
library in the same process.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def _credssp_proxy(*args: Any, **kwargs: Any) -> Any:
    return import_module("spnego._credssp").CredSSPProxy(*args, **kwargs)


def _attribute_of_krb5(name: str) -> Any:
    return getattr(import_module("krb5"), name)


_STAND_INS: dict[str, Mapping[str, Any]] = {"spnego._credssp": {"CredSSPProxy": _credssp_proxy}}
if find_spec("krb5") is not None:  # else pyspnego must notice that it is missing
    _STAND_INS["krb5"] = {"__getattr__": _attribute_of_krb5}


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Let imports find the stand-ins, except for modules that were imported before."""
    added = []
    for name, attributes in _STAND_INS.items():
        module = ModuleType(name)
        vars(module).update(attributes)
        if sys.modules.setdefault(name, module) is module:
            added.append(name)
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


with _stand_ins():
    import spnego
    from spnego._negotiate import NegotiateProxy  # the public module of that name is deprecated
    from spnego.channel_bindings import GssChannelBindings

__all__ = ["GssChannelBindings", "NegotiateProxy", "spnego"]
