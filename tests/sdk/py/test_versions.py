"""The unit tests pass under each Python that the package supports, as far as there is one here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import PACKAGE  # type: ignore[import-not-found]

UNIT = Path(__file__).parent / "unit"


def python_of(version: str) -> str | None:
    """An interpreter of that version that runs: of pyenv, or on the PATH."""
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for path in (*sorted(folder.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")):
        if path is not None and subprocess.run([str(path), "-c", ""], capture_output=True).returncode == 0:
            return str(path)
    return None


@pytest.mark.parametrize("version", ["3.9", "3.11", "3.13"])
def test_unit_tests_pass_under(version: str) -> None:
    python = python_of(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    print(f"Python {version}: {python}")
    done = subprocess.run(
        [python, "-W", "error::ResourceWarning", "-m", "unittest", "discover", "-s", str(UNIT)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "\nOK" in done.stderr
