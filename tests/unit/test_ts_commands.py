"""The TypeScript client's table of commands is the daemon's."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from mqfast.commands import COMMANDS, ERRORS, FIELDS

FOLDER = Path(__file__).parents[2] / "bindings" / "ts"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_ts", FOLDER / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_are_current(generator: ModuleType) -> None:
    for name, render in generator.FILES.items():
        text = (FOLDER / "src" / name).read_text(encoding="utf-8")
        assert text == render(), f"{name}: run python bindings/ts/generate.py"


def test_every_command_has_a_request_and_every_code_a_class(generator: ModuleType) -> None:
    text = generator.render_commands()
    for command in COMMANDS:
        assert f'  cmd: "{command.name}";' in text
    for error in ERRORS:
        assert f"  {error.code}: " in text


def test_a_field_that_means_two_things_says_only_what_its_command_means(generator: ModuleType) -> None:
    timeout = next(field for field in FIELDS if field.name == "timeout")
    assert generator.meaning(timeout, "PUSH") == "milliseconds a worker has from the pull, 0 = no limit"
    assert generator.meaning(timeout, "PULLB") == "how long to wait, none = for ever"
