"""What can be checked of the project's taste: who may know whom, how large things get, what they are called."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_INCLUDE = {
    "base": {"base"},
    "wire": {"base", "wire"},
    "log": {"base", "log"},
    "queue": {"base", "log", "queue"},
    "command": {"base", "log", "queue", "wire", "command"},
    "net": {"base", "log", "queue", "wire", "command", "net"},
}
BANNED_NAMES = {"util", "utils", "common", "helper", "helpers", "misc", "types"}
LINES = 560  # about 500; a file that nears this wants a seam, not a larger number


def c_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / "csrc" / folder).glob("*.[ch]"))


@pytest.mark.parametrize("folder", MAY_INCLUDE)
def test_layers_of_the_core_include_only_what_is_below_them(folder: str) -> None:
    for path in c_files(folder):
        for name in re.findall(r'#include "([^"]+)"', path.read_text(encoding="utf-8")):
            if "/" in name:
                assert name.split("/")[0] in MAY_INCLUDE[folder], f"{path.name} includes {name}"


def test_the_core_does_not_know_python() -> None:
    for path in c_files(*MAY_INCLUDE, "include"):
        assert "Python.h" not in path.read_text(encoding="utf-8"), path


def imports(path: Path) -> list[str]:
    """The modules of mqfast that a module names, wherever in it."""
    return re.findall(r"^\s*(?:from|import) (mqfast[\w.]*)", path.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("part", "other"), [("control", "http"), ("http", "control")])
def test_control_and_http_do_not_know_each_other(part: str, other: str) -> None:
    for path in (ROOT / "mqfast" / part).glob("*.py"):
        for module in imports(path):
            assert not module.startswith(f"mqfast.{other}"), f"{path.name} imports {module}"
            assert module not in ("mqfast.server", "mqfast.__main__"), f"{path.name} imports {module}"


def test_only_the_composition_root_knows_the_parts() -> None:
    for path in (ROOT / "mqfast").glob("*.py"):
        parts = [module for module in imports(path) if module.startswith(("mqfast.control", "mqfast.http"))]
        assert not parts or path.name == "server.py", f"{path.name} imports {parts}"


def test_only_main_reads_the_environment() -> None:
    readers = [
        path.name for path in (ROOT / "mqfast").rglob("*.py") if "os.environ" in path.read_text(encoding="utf-8")
    ]
    assert readers == ["__main__.py"]


def source_files() -> list[Path]:
    folders = ("mqfast", "csrc", "tests", "perf")
    return [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".c", ".h", ".py", ".pyx"} and not {"build", "node_modules"} & set(path.parts)
    ]


def test_no_file_is_called_after_nothing() -> None:
    assert not [path for path in source_files() if path.stem in BANNED_NAMES]


def test_files_stay_short_enough_to_read() -> None:
    long = {str(path): n for path in source_files() if (n := path.read_text(encoding="utf-8").count("\n")) > LINES}
    assert not long
