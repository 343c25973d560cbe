"""What the site has besides docs/: documents and files of the repository, sections of the README, and links that fit.

A document's links are written for the repository. Here, those to a document that is a page become links to the page,
those to a file that the site shows become links to its copy; those to anything else outside docs/ lose the link and
keep the text, because the site has no sources to show. A link to a file that is not there is an error in both places,
and is left for MkDocs to report.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "bindings/py/README.md": "sdk/python.md",
    "bindings/ts/README.md": "sdk/typescript.md",
    "csrc/README.md": "core.md",
    "perf/README.md": "measurements.md",
}
"""Documents outside docs/ and their pages. README.md is no page itself: docs/index.md stands for it."""

SECTIONS = {"how-fast": "figures.md", "run-it-in-production": "production.md", "settings": "settings.md"}
"""Sections of the README that are pages, by their anchors."""

SHOWN = ("packaging/*", "Dockerfile", "compose.yaml", "bindings/*/examples/*")
"""Files that documents link to, and which the site has under files/."""

LINK = re.compile(r"(?<!!)\[((?:`[^`]*`|[^\[\]`])*)\]\(([^()\s]+)\)")
SOURCES = {page: source for source, page in PAGES.items() if page != "index.md"} | dict.fromkeys(
    SECTIONS.values(), "README.md"
)


def on_files(files: Any, *, config: Any) -> Any:
    for page, source in SOURCES.items():
        if source != "README.md":
            files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for anchor, page in SECTIONS.items():
        files.append(File.generated(config, page, content="---\nhide: [toc]\n---\n" + section(readme, anchor)))
    for source in shown():
        files.append(File.generated(config, f"files/{source}", content=(ROOT / source).read_bytes()))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    return for_the_site(markdown, page.file.src_uri)


def shown() -> list[str]:
    """The files that the site shows, by their paths in the repository."""
    found = sorted(path for pattern in SHOWN for path in ROOT.glob(pattern) if path.is_file())
    return [path.relative_to(ROOT).as_posix() for path in found]


def section(document: str, anchor: str) -> str:
    """The section of a document under the heading with this anchor, as a document of its own. Raises KeyError."""
    for part in re.split(r"^(?=## )", document, flags=re.MULTILINE)[1:]:
        heading = part.partition("\n")[0].removeprefix("## ")
        if heading.lower().replace(" ", "-") == anchor:
            return part[1:]
    raise KeyError(anchor)


def for_the_site(markdown: str, page: str) -> str:
    """The text of this page (its path in the site, such as sdk/python.md) with links that hold in the site."""
    home = posixpath.dirname(SOURCES.get(page, f"docs/{page}"))
    files = set(shown())

    def link(found: re.Match[str]) -> str:
        text, target = found.groups()
        path, _, anchor = target.partition("#")
        if not path or "://" in target:
            return found[0]
        source = posixpath.normpath(posixpath.join(home, path))
        if not (ROOT / source).exists():
            return found[0]
        if source == "README.md":
            aim, anchor = SECTIONS.get(anchor, "index.md"), ""
        elif source in PAGES:
            aim = PAGES[source]
        elif source in files:
            aim = f"files/{source}"
        elif source.startswith("docs/"):
            aim = source.removeprefix("docs/")
        else:
            return text
        relative = posixpath.relpath(aim, posixpath.dirname(page) or ".")
        return f"[{text}]({relative}{'#' + anchor if anchor else ''})"

    return LINK.sub(link, markdown)
