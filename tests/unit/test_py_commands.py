"""The Python client's table of commands is the daemon's."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from mqfast.commands import ERRORS, FIELDS

FOLDER = Path(__file__).parents[2] / "bindings" / "py"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_py", FOLDER / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_file_is_current(generator: ModuleType) -> None:
    text = generator.TARGET.read_text(encoding="utf-8")
    assert text == generator.render(), "run python bindings/py/generate.py"


def test_every_code_has_a_class_that_says_whether_asking_again_may_help() -> None:
    from magicqueue import REFUSALS, RETRYABLE_CODES

    assert {code: kind.retryable for code, kind in REFUSALS.items()} == {one.code: one.retryable for one in ERRORS}
    assert {one.code for one in ERRORS if one.retryable} == RETRYABLE_CODES
    assert all(kind.code == code for code, kind in REFUSALS.items())


def test_a_field_that_means_two_things_says_only_what_its_command_means(generator: ModuleType) -> None:
    timeout = next(field for field in FIELDS if field.name == "timeout")
    assert generator.meaning(timeout, "PUSH") == "milliseconds a worker has from the pull, 0 = no limit"
