"""The unit tests pass under each Python that the package supports, as far as there is one here.

That of this run is always among them; which others were, the test says (``pytest -rP``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.sdk.py.package import PACKAGE, REPOSITORY

UNIT = Path(__file__).parent / "unit"
SUPPORTED = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def python_of(version: str) -> str | None:
    """An interpreter of that version that runs: this one, one of pyenv, or one on the PATH."""
    if sys.version_info[:2] == tuple(int(part) for part in version.split(".")):
        return sys.executable
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for path in (*sorted(folder.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")):
        if path is not None and subprocess.run([str(path), "-c", ""], capture_output=True).returncode == 0:
            return str(path)
    return None


def test_unit_tests_pass_under_every_python_that_is_here() -> None:
    modules = [f"tests.sdk.py.unit.{path.stem}" for path in sorted(UNIT.glob("test_*.py"))]
    assert modules
    passed: list[str] = []
    for version in SUPPORTED:
        python = python_of(version)
        if python is None:
            print(f"Python {version}: not here, not run")
            continue
        done = subprocess.run(
            [python, "-W", "error::ResourceWarning", "-m", "unittest", *modules],
            env={**os.environ, "PYTHONPATH": str(PACKAGE)},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"Python {version}:\n{done.stderr}"
        assert "\nOK" in done.stderr
        passed.append(version)
        print(f"Python {version}: {done.stderr.splitlines()[-3]} by {python}")
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in passed
