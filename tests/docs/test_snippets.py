"""Every snippet of the README and of docs/ runs as it stands, or says over itself why it does not.

`<!-- not run: WHY -->` over a block leaves it out, `<!-- no daemon -->` runs it where none listens. A Python or
TypeScript snippet prints what its comments behind print or console.log say. What a shell snippet prints is compared
with a text block that follows it at once, any number standing for any other; the lines under a `$` of a console are
among those printed, blanks, capitals and the port aside. JSON, TOML and YAML are read.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.docs.snippets import FENCE, ROOT, Snippet, documents, snippets_of
from tests.sdk.py.package import PACKAGE, WAIT_S, port_of, run_python
from tests.tcp.daemon_process import SETTINGS
from tests.tcp.fixtures import StartDaemon, daemon_with

__all__ = ["daemon_with"]

TS = ROOT / "bindings/ts"
TSC = TS / "node_modules/.bin/tsc"
SNIPPETS = [snippet for document in documents() for snippet in snippets_of(document)]
TO_RUN = [snippet for snippet in SNIPPETS if snippet.runs]
FIRST_OF_TS = snippets_of(TS / "README.md")[0]


def of(*languages: str) -> list[object]:
    return [pytest.param(snippet, id=snippet.place) for snippet in TO_RUN if snippet.language in languages]


def clean_environment(**more: str) -> dict[str, str]:
    """Without the daemon's settings, and with this build's mqfast in front."""
    kept = {name: value for name, value in os.environ.items() if not SETTINGS.fullmatch(name) and name != "MQ_URL"}
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **more}


def without_sanitizers(environment: dict[str, str]) -> dict[str, str]:
    """For programs that have nothing to do with a build under AddressSanitizer."""
    return {name: value for name, value in environment.items() if name != "LD_PRELOAD"}


def bash(code: str, folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = ["bash", "-e", "-o", "pipefail", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, cwd=folder, env=environment)


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ("```\nls\n```\n", "no language"),
        ("```sh\nls\n```\n", "a block of sh"),
        ("<!-- not run -->\n```bash\nls\n```\n", "WHY"),
        ("<!-- no deamon -->\n```bash\nls\n```\n", "no deamon"),
    ],
)
def test_a_block_that_says_neither_its_language_nor_why_it_is_not_run_is_a_fault(
    block: str, fault: str, tmp_path: Path
) -> None:
    document = tmp_path / "page.md"
    document.write_text(block, encoding="utf-8")
    (snippet,) = snippets_of(document)
    with pytest.raises(ValueError, match=fault):
        _ = snippet.runs


def test_every_fence_is_a_block_that_is_looked_at() -> None:
    for document in documents():
        text = document.read_text(encoding="utf-8")
        outputs = sum(match["output"] is not None for match in FENCE.finditer(text))
        assert text.count("```") == 2 * (len(snippets_of(document)) + outputs), document
    assert len(TO_RUN) > 20


@pytest.mark.parametrize("snippet", of("bash"))
def test_shell_snippet_runs(snippet: Snippet, daemon_with: StartDaemon, tmp_path: Path) -> None:
    for program in ("curl", "openssl"):
        if re.search(rf"^{program} ", snippet.code, re.MULTILINE) and shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    daemon = daemon_with("--http", "1", "--http-port", "0")
    assert daemon.http is not None
    port, http_port = str(port_of(daemon)), str(daemon.http[1])
    environment = clean_environment(MQ_URL=f"mq://127.0.0.1:{port}")
    code = snippet.code.replace("6789", port).replace("6790", http_port)
    ended = bash(code, tmp_path, environment)
    assert ended.returncode == 0, ended.stderr
    if snippet.output is not None:
        assert re.sub(r"\d+", "0", ended.stdout) == re.sub(r"\d+", "0", snippet.output)


@pytest.mark.parametrize("snippet", of("console"))
def test_session_shows_what_is_printed(snippet: Snippet, tmp_path: Path) -> None:
    assert snippet.remark == "no daemon", "a session with a daemon is a bash block with a text block behind it"
    with socket.socket() as taken:  # bound and not listening: nothing answers there
        taken.bind(("localhost", 0))
        port = str(taken.getsockname()[1])
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", snippet.code, re.MULTILINE):
            ended = bash(command, tmp_path, clean_environment(PORT=port))
            text = (ended.stdout + ended.stderr).replace(f" --port {port}", "").replace(port, "6789")
            printed = [line.lower().split() for line in text.splitlines()]
            for line in shown.splitlines():
                assert line.lower().split() in printed, line


@pytest.mark.parametrize("snippet", of("python"))
def test_python_snippet_prints_what_its_comments_say(snippet: Snippet, daemon_with: StartDaemon) -> None:
    port = port_of(daemon_with("--http", "1", "--http-port", "0"))
    environment = {"MQ_URL": f"mq://127.0.0.1:{port}", "PYTHONPATH": str(PACKAGE)}
    program = run_python("-c", snippet.code, environment=environment)
    said = program.communicate(timeout=WAIT_S)[0].splitlines()
    expected = re.findall(r"^ *print\(.*\)  # (.*)$", snippet.code, re.MULTILINE)
    assert (program.returncode, said) == (0, expected)


@pytest.fixture(scope="module")
def ts_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the TypeScript client, built from its sources, can be imported."""
    if not TSC.exists() or shutil.which("node") is None:
        pytest.skip("no TypeScript here: make test installs it")
    folder = tmp_path_factory.mktemp("ts")
    package = folder / "node_modules/magicqueue"
    environment = without_sanitizers(clean_environment())
    subprocess.run([TSC, "-p", TS, "--outDir", package / "dist"], check=True, timeout=WAIT_S, env=environment)
    shutil.copy(TS / "package.json", package)
    (folder / "package.json").write_text('{"type":"module"}', encoding="utf-8")
    (folder / "node_modules/@types").symlink_to(TS / "node_modules/@types")
    return folder


@pytest.mark.parametrize("snippet", [*of("ts"), pytest.param(FIRST_OF_TS, id=FIRST_OF_TS.place)])
def test_typescript_snippet_compiles_and_prints_what_its_comments_say(
    snippet: Snippet, ts_folder: Path, daemon_with: StartDaemon
) -> None:
    (ts_folder / "snippet.ts").write_text(snippet.code, encoding="utf-8")
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--types", "node"]
    port = port_of(daemon_with("--http", "1", "--http-port", "0"))
    environment = without_sanitizers(clean_environment(MQ_URL=f"mq://127.0.0.1:{port}"))

    def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, cwd=ts_folder, env=environment)

    compiled = run(TSC, *options, "snippet.ts")
    assert compiled.returncode == 0, compiled.stdout
    ended = run("node", "snippet.js")
    expected = re.findall(r"^ *console\.log\(.*\); // (.*)$", snippet.code, re.MULTILINE)
    assert expected and (ended.returncode, ended.stdout.splitlines()) == (0, expected), ended.stderr


READERS: dict[str, Callable[[str], object]] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}


@pytest.mark.parametrize(
    "snippet", [pytest.param(snippet, id=snippet.place) for snippet in SNIPPETS if snippet.language in READERS]
)
def test_data_can_be_read(snippet: Snippet) -> None:
    assert READERS[snippet.language](snippet.code)
