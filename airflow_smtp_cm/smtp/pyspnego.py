"""pyspnego, imported without the part that SMTP does not use: CredSSP.

``import spnego`` imports all of its protocols. CredSSP needs X.509 from ``cryptography``, whose import takes a third
of the time of all imports for Windows authentication. During the import, a stand-in replaces that module; it imports
the module when another library in the same process uses CredSSP.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

_CREDSSP = "spnego._credssp"


def _credssp_proxy(*args: Any, **kwargs: Any) -> Any:
    from spnego._credssp import CredSSPProxy  # noqa: PLC0415 - not for SMTP

    return CredSSPProxy(*args, **kwargs)


_stand_in = ModuleType(_CREDSSP)
_stand_in.CredSSPProxy = _credssp_proxy  # type: ignore[attr-defined]
_has_stand_in = sys.modules.setdefault(_CREDSSP, _stand_in) is _stand_in
try:
    import spnego
    from spnego._negotiate import NegotiateProxy  # the public module of that name is deprecated
    from spnego.channel_bindings import GssChannelBindings
finally:
    if _has_stand_in:
        del sys.modules[_CREDSSP]

__all__ = ["GssChannelBindings", "NegotiateProxy", "spnego"]
