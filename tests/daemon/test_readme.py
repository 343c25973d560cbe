"""A newcomer's first job: the README's own commands, word for word but for the port."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tcp.fixtures import StartDaemon, start_daemon

__all__ = ["start_daemon"]

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def block(first_words: str, language: str) -> str:
    """The fenced block that begins with these words."""
    found = re.search(rf"```{language}\n({re.escape(first_words)}.*?)```", README, re.DOTALL)
    assert found, first_words
    return found[1]


def test_the_first_job_goes_in_from_bash_and_out_to_the_worker(start_daemon: StartDaemon) -> None:
    address = start_daemon().address("tcp")
    port = str(address[1])
    shell = block("exec 3<>", "bash").replace("6789", port)
    told = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=20, check=True).stdout
    answers = block('{"ok":true,"id"', "text")
    assert re.sub(r'"id":\d+', "", told) == re.sub(r'"id":\d+', "", answers)
    worker = subprocess.Popen(
        [sys.executable, "-u", "-c", block("import json", "python").replace("6789", port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "working on {'to': 'ada@example.org'}\n"
    finally:
        worker.kill()
        worker.communicate()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_first_job_goes_in_and_out_over_http(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--http", "1", "--http-port", "0")
    assert daemon.http is not None
    shell = block("curl -s", "bash").replace("6790", str(daemon.http[1]))
    told = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=20, check=True).stdout
    answers = [json.loads(answer) for answer in told.replace("}{", "}\n{").splitlines()]
    pushed, pulled = answers[0]["data"], answers[1]["data"][0]
    assert pushed["id"] == pulled["id"] and pulled["data"] == {"to": "bob@example.org"}
    ack = re.search(r"`(curl -d [^`]+/ack)`", README)
    assert ack
    acked = ack[1].replace("6790", str(daemon.http[1])).replace("ID", str(pulled["id"])).replace("curl", "curl -s")
    told = subprocess.run(["bash", "-c", acked], capture_output=True, text=True, timeout=20, check=True).stdout
    assert json.loads(told) == {"ok": True, "data": True}


@pytest.mark.parametrize("target", ["run", "test", "check", "bench", "fmt"])
def test_every_make_target_the_readme_names_exists(target: str) -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"(`|\n)make {target}\b", README)
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
