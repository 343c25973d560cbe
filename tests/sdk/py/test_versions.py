"""The client works under each Python that it supports, as far as there is one here.

The Python of this run is always among them, as the other files show; which others were, each test says (``-rP``).
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.transcript import Player
from tests.sdk.py.bridge import FLAVOURS
from tests.sdk.py.lasting_daemon import LastingDaemon
from tests.sdk.py.package import PACKAGE, REPOSITORY, WAIT_S, port_of, run_python
from tests.sdk.py.test_conformance import SCENARIOS
from tests.sdk.py.test_examples import EXPECTED, say
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon, unique_name
from tests.tcp.test_conformance import flags_of

UNIT = Path(__file__).parent / "unit"
SUPPORTED = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
ALL_OF_IT = ("3.9", "3.13")
"""The versions that run more than the unit tests: the oldest, and the newest that is common."""

THIS = f"{sys.version_info[0]}.{sys.version_info[1]}"


@functools.cache
def python_of(version: str) -> str | None:
    """An interpreter of that version that runs: this one, one of pyenv, or one on the PATH."""
    if version == THIS:
        return sys.executable
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for path in (*sorted(folder.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")):
        if path is not None and subprocess.run([str(path), "-c", ""], capture_output=True).returncode == 0:
            return str(path)
    return None


def pythons(versions: tuple[str, ...]) -> dict[str, str]:
    """Those that are here; says which are not."""
    found = {version: python_of(version) for version in versions}
    for version, path in found.items():
        print(f"Python {version}: {path or 'not here, not run'}")
    return {version: path for version, path in found.items() if path is not None}


def test_unit_tests_pass() -> None:
    modules = [f"tests.sdk.py.unit.{path.stem}" for path in sorted(UNIT.glob("test_*.py"))]
    assert modules
    here = pythons(SUPPORTED)
    assert THIS in here
    for version, python in here.items():
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


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_transcripts_hold(flavour: str, daemon: Daemon, daemon_with: StartDaemon) -> None:
    for version, python in pythons(ALL_OF_IT).items():
        with run_python("-m", "tests.sdk.py.bridge", flavour, python=python) as bridge:
            assert bridge.stdin is not None

            def exchange(request: Any, bridge: subprocess.Popen[str] = bridge) -> Any:
                assert bridge.stdin is not None and bridge.stdout is not None
                print(json.dumps(request), file=bridge.stdin, flush=True)
                return json.loads(bridge.stdout.readline())

            for scenario in SCENARIOS:
                place = daemon_with(*flags_of(scenario)) if scenario.settings else daemon
                exchange({"connect": port_of(place)})
                Player(unique_name("c")).play(scenario, exchange)
            bridge.stdin.close()
            assert bridge.wait(WAIT_S) == 0, version


def test_examples_run(start_daemon: StartDaemon) -> None:
    for version, python in pythons(ALL_OF_IT).items():
        daemon = start_daemon()
        for name in ("basics.py", "workflow.py", "older_program.py", "unit_test.py"):
            assert say(daemon, name, python) == EXPECTED[name], version


def test_a_killed_daemon_loses_nothing(tmp_path: Path) -> None:
    for version, python in pythons(ALL_OF_IT).items():
        lasting = LastingDaemon(tmp_path / version)
        with run_python("-m", "tests.sdk.py.recovery_program", str(lasting.port), python=python) as program:
            assert program.stdin is not None and program.stdout is not None
            for _ in range(3):
                print(file=program.stdin, flush=True)
                assert program.stdout.readline() == "more\n"
                lasting.kill()
                lasting.start()
            assert program.communicate(timeout=WAIT_S)[0] == "fine\n", version
        lasting.end()
