"""The tokens file: what it may say, and what is told of what is wrong with it, without a secret."""

from pathlib import Path

import pytest

from mqfast.errors import SettingsError
from mqfast.tokens import Grant, grants, is_open_to_others

GOOD = """
[[token]]
name = "the web shop"
token = "s3cret-shop"
roles = ["producer"]
queues = ["mail", "billing:*"]

[[token]]
token = "s3cret-all"
roles = ["reader", "worker", "reader"]
"""


def write(folder: Path, text: str) -> str:
    path = folder / "tokens.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_what_it_says(tmp_path: Path) -> None:
    assert grants(("old",), write(tmp_path, GOOD)) == [
        Grant("old", 8),
        Grant("s3cret-shop", 1, ("mail", "billing:*")),
        Grant("s3cret-all", 6),
    ]
    assert grants((), None) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"there is no \[\[token\]\] in it"),
        ("token = 's3cret'", "each token is a"),
        ("[token]\ntoken = 's3cret'", "each token is a"),
        ("[[tokens]]\ntoken = 's3cret'", "unknown key tokens"),
        ("[[token]]\ntoken = 's3cret'", "number 1: roles must be a list of some of producer, worker, reader, admin"),
        ("[[token]]\ntoken = 's3cret'\nroles = []", "number 1: roles must"),
        ("[[token]]\ntoken = 's3cret'\nroles = ['boss']", "number 1: roles must"),
        ("[[token]]\ntoken = 's3cret'\nroles = 'admin'", "number 1: roles must"),
        ("[[token]]\ntoken = ''\nroles = ['admin']", "number 1: token must"),
        ("[[token]]\nroles = ['admin']", "number 1: token must"),
        ('[[token]]\ntoken = "s3cret\\u0000"\nroles = ["admin"]', "number 1: token must|not valid TOML"),
        (f"[[token]]\ntoken = '{'s3cret' * 200}'\nroles = ['admin']", "number 1: token must"),
        ("[[token]]\ntoken = 's3cret'\nroles = ['admin']\nqueues = 'q'", "number 1: queues must"),
        ("[[token]]\ntoken = 's3cret'\nroles = ['admin']\nqueues = ['']", "number 1: queues must"),
        ("[[token]]\ntoken = 's3cret'\nroles = ['admin']\nqueues = []", "number 1: queues is empty"),
        ("[[token]]\ntoken = 's3cret'\nroles = ['admin']\nqueue = ['q']", "number 1: unknown key queue"),
        (GOOD + "[[token]]\ntoken = 's3cret-all'\nroles = ['admin']", "given twice"),
        ("[[token]", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_told_without_the_secret(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as caught:
        grants((), write(tmp_path, text))
    assert "s3cret" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        grants((), write(tmp_path, "[[token]]\ntoken = 5\n[[token]]\nroles = ['x']"))
    assert len(caught.value.lines) == 4


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read the tokens file .*: no such file or directory"):
        grants((), str(tmp_path / "none"))


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o640, False), (0o644, True), (0o660, True)])
def test_others_should_not_read_it(tmp_path: Path, mode: int, is_open: bool) -> None:
    path = Path(write(tmp_path, GOOD))
    path.chmod(mode)
    assert is_open_to_others(str(path)) == is_open
