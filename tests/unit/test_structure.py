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
        if path.suffix in {".c", ".h", ".py", ".pyx"} and "build" not in path.parts
    ]


def test_no_file_is_called_after_nothing() -> None:
    assert not [path for path in source_files() if path.stem in BANNED_NAMES]


def test_files_stay_short_enough_to_read() -> None:
    long = {str(path): n for path in source_files() if (n := path.read_text(encoding="utf-8").count("\n")) > LINES}
    assert not long
