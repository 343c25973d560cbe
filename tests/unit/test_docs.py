"""What the documents say is what the code has."""

import re
from pathlib import Path

import pytest

from mqfast.commands import COMMANDS, ERRORS, FIELDS, renew

ROOT = Path(__file__).parents[2]


def test_tables_of_the_protocol_page_are_current() -> None:
    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    assert text == renew(text), "run: python -m mqfast.commands docs/protocol.md"


def test_renewing_a_text_without_marks_says_which_are_missing() -> None:
    with pytest.raises(ValueError, match="commands:begin"):
        renew("no marks here")


def test_every_field_of_a_command_is_in_the_field_table() -> None:
    names = {field.name for field in FIELDS}
    assert {name for command in COMMANDS for name in (*command.required, *command.optional)} <= names


def test_codes_and_numbers_of_errors_are_unique() -> None:
    assert len({error.code for error in ERRORS}) == len({error.number for error in ERRORS}) == len(ERRORS)


def test_every_command_has_an_answer_in_the_protocol_page() -> None:
    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    answers = text.partition("## Answers")[2].partition("A JOB is")[0]
    missing = [command.name for command in COMMANDS if f"`{command.name}`" not in answers]
    assert not missing


@pytest.mark.parametrize(
    "document", ["README.md", "docs/cli.md", "docs/protocol.md", "csrc/README.md", "CHANGELOG.md", "docs/releasing.md"]
)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target
