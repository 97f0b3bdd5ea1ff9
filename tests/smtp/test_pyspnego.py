"""pyspnego is imported without ``krb5``; another thread may find its stand-in during the import."""

import subprocess
import sys

import pytest

# While pyspnego is being imported, after it has imported ``krb5``, another thread does something.
_SCRIPT = """
import builtins, sys, threading

import_module, outcome = builtins.__import__, []

def meanwhile():
    try:
        {code}
    except BaseException as error:
        outcome.append(repr(error))
    else:
        outcome.append("done")

def imported(name, *args):
    if name == "gssapi.raw" and "krb5" in sys.modules and not outcome:
        thread = threading.Thread(target=meanwhile)
        thread.start()
        thread.join()
    return import_module(name, *args)

builtins.__import__ = imported
import airflow_smtp_cm.smtp.pyspnego
builtins.__import__ = import_module
import krb5
print(*outcome, krb5.Krb5Error.__module__, krb5.__file__ == krb5.__spec__.origin)
"""


@pytest.mark.parametrize(
    "code",
    [
        "import krb5; krb5.init_context()",
        "from krb5 import Krb5Error",
        "from importlib.util import find_spec; assert find_spec('krb5')",
        "assert all(hasattr(module, '__file__') in {True, False} for module in list(sys.modules.values()))",
    ],
    ids=["use", "import of a name", "search", "look at all modules"],
)
def test_other_thread_can_use_krb5_while_pyspnego_is_imported(code):
    script = _SCRIPT.replace("{code}", code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("done krb5._exceptions True\n", "")
