"""Every snippet of the documents about the Python client runs as it stands, and says what its comments say."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.sdk.py.package import PACKAGE, REPOSITORY, WAIT_S, port_of, run_python
from tests.tcp.fixtures import StartDaemon


def snippets_of(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def documents() -> dict[str, list[str]]:
    root = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = root.partition("\n## Python\n")[2].partition("\n## ")[0]
    package = (PACKAGE / "README.md").read_text(encoding="utf-8")
    return {"README.md": snippets_of(section), "bindings/py/README.md": snippets_of(package)}


@pytest.mark.parametrize("document", documents())
def test_snippets_run(document: str, start_daemon: StartDaemon, tmp_path: Path) -> None:
    snippets = documents()[document]
    assert snippets
    environment = {
        "MQ_URL": f"mq://127.0.0.1:{port_of(start_daemon())}",
        "PYTHONPATH": f"{PACKAGE}:{tmp_path}",
    }
    workers: list[subprocess.Popen[str]] = []
    for snippet in snippets:
        named = re.match(r"# (\w+\.py)\n", snippet)
        if named is not None:
            # A program with a worker, which the next one needs.
            (tmp_path / named[1]).write_text(snippet, encoding="utf-8")
            workers.append(run_python(str(tmp_path / named[1]), environment=environment))
            continue
        program = run_python("-c", snippet, environment=environment)
        said = program.communicate(timeout=WAIT_S)[0].splitlines()
        assert (program.returncode, said) == (0, re.findall(r"^ *print\(.*\)  # (.*)$", snippet, re.MULTILINE)), snippet
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=WAIT_S)
        assert worker.returncode == 0
