"""This package as users install it: from a wheel, with compiled bytecode, in an environment that has all the rest."""

from __future__ import annotations

import compileall
import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

from benchmarks.sinks import Unavailable
from benchmarks.workers import ROOT

_OPTIONS = ("--quiet", "--no-deps", "--no-build-isolation", "--compile-bytecode")
_AIRFLOW = "#!{python}\nfrom airflow.__main__ import main\n\nmain()\n"


def install(folder: Path) -> Path:
    """Install the package below a new folder, and return the command ``airflow`` that uses it.

    The new environment adds the packages of this one; only the checkout, which is installed as editable here, is not
    among them. So Airflow and its own provider are the same, and the latter was installed from a wheel, too.

    Raises:
        Unavailable: uv, which builds and installs the wheel, or Airflow's own provider is not installed.
    """
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        raise Unavailable("uv (in .venv)")
    _compile_provider()
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "all_the_rest.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = folder / "bin" / "python"
    subprocess.run([uv, "pip", "install", *_OPTIONS, "--python", python, ROOT], check=True)
    airflow = folder / "bin" / "airflow"
    airflow.write_text(_AIRFLOW.format(python=python))
    airflow.chmod(0o755)
    return airflow


def _compile_provider() -> None:
    spec = importlib.util.find_spec("airflow.providers.smtp")
    if spec is None or spec.origin is None:
        raise Unavailable("Airflow's own provider (pip install apache-airflow-providers-smtp)")
    compileall.compile_dir(Path(spec.origin).parent, quiet=1)
