"""The fenced blocks of the documents, and the words over them that say how they are run."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = ("bash", "console", "python", "ts")
READ = {"json", "toml", "yaml"}
SHOWN = {"text"}

FENCE = re.compile(
    r"^(?:<!-- (?P<remark>.+?) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Snippet:
    """A block. remark: the comment over it, "" without; output: the text block that follows it at once, or None."""

    place: str
    language: str
    code: str
    remark: str = ""
    output: str | None = None

    @property
    def runs(self) -> bool:
        """Whether it is to be run. Raises ValueError for a language or a remark that is not known."""
        if self.language not in {*RUN, *READ, *SHOWN}:
            raise ValueError(f"{self.place}: a block of {self.language or 'no language'}; use one of {RUN}, or text")
        reason = re.fullmatch(r"not run(?: here)?: (.{10,})", self.remark)
        if self.remark not in ("", "no daemon") and not reason:
            raise ValueError(f"{self.place}: over a block stands 'not run: WHY', 'no daemon' or nothing: {self.remark}")
        return self.language in RUN and not reason


def snippets_of(document: Path) -> list[Snippet]:
    """The blocks of a document, in order; those that are another's output are not told again."""
    text = document.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        line = text[: match.start("code")].count("\n")
        place = f"{document.relative_to(ROOT)}:{line}" if document.is_relative_to(ROOT) else f"{document.name}:{line}"
        found.append(Snippet(place, match["language"], match["code"], match["remark"] or "", match["output"]))
    return found


def documents() -> list[Path]:
    """Those whose snippets are run here: the README and docs/. The Python client's are run by tests/sdk/py."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
