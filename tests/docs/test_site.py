"""The site builds without a warning, shows what it should, and asks nothing of other hosts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mqfast.commands import COMMANDS, reference
from mqfast.http import prometheus
from perf.comparison.results import Figure, figures, label
from perf.comparison.throughput import WORKLOADS

ROOT = Path(__file__).parents[2]
FIGURES = figures(sorted((ROOT / "perf/results").glob("*.json")))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    assert build.returncode == 0, build.stderr
    return folder


@pytest.mark.parametrize(
    ("page", "words"),
    {
        "sdk/python.html": "push_and_wait",
        "sdk/typescript.html": "pushAndWait",
        "core.html": "Decide, then apply",
        "measurements.html": "mqecho",
        "security.html": "Report a weakness",
        "changelog.html": "unreleased",
        "settings.html": "MAX_CONNECTIONS_PER_ADDRESS",
        "figures.html": "100-byte payloads",
        "production.html": "systemctl reload mqfast",
    }.items(),
)
def test_documents_outside_docs_are_pages_too(site: Path, page: str, words: str) -> None:
    assert words in (site / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "target"),
    [
        ("sdk/python.html", "../protocol.html"),
        ("sdk/python.html", "../files/bindings/py/examples/basics.py"),
        ("security.html", "protocol.html"),
        ("security.html", "settings.html"),
        ("operations.html", "settings.html"),
        ("performance.html", "figures.html"),
        ("production.html", "files/packaging/mqfast.service"),
    ],
)
def test_links_between_documents_lead_to_pages_and_files_of_the_site(site: Path, page: str, target: str) -> None:
    assert f'href="{target}"' in (site / page).read_text(encoding="utf-8")
    assert ((site / page).parent / target).exists()


def test_no_link_leads_to_a_document_that_is_not_in_the_site(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not re.search(r'href="(?!https?:)[^"#]*\.md["#]', page.read_text(encoding="utf-8")), page


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//[^"]*"', text), page
        assert not re.findall(r'<link(?![^>]*rel="canonical")[^>]* href="(?:https?:)?//[^"]*"', text), page
    for style in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style


def test_the_page_of_commands_is_current() -> None:
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert text == reference(), "regenerate with: .venv/bin/python -m mqfast.commands --reference > docs/commands.md"
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == [command.name for command in COMMANDS]


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_of_pages_lead_somewhere_in_the_repository_too(page: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", (ROOT / "docs" / page).read_text(encoding="utf-8")):
        assert "://" in target or (ROOT / "docs" / target).exists(), target


def test_metrics_that_the_alerts_name_exist() -> None:
    named = set(re.findall(r"\bmqfast_\w+", (ROOT / "docs/operations.md").read_text(encoding="utf-8")))
    known = set(re.findall(r'"(mqfast_\w+)"', Path(prometheus.__file__).read_text(encoding="utf-8")))
    assert named and {name.removesuffix("_total") for name in named} <= known


# Pictures


@pytest.mark.parametrize("picture", sorted(path.name for path in (ROOT / "docs").glob("*.svg")))
def test_pictures_have_colours_for_the_dark_and_a_title_and_are_shown(picture: str) -> None:
    text = (ROOT / "docs" / picture).read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text and "<title>" in text
    assert any(f"({picture})" in page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("figure", FIGURES, ids=[figure.name for figure in FIGURES])
def test_plots_are_of_the_results_that_are_kept(figure: Figure) -> None:
    text = (ROOT / f"docs/{figure.name}.svg").read_text(encoding="utf-8")
    drawn = re.search(r"<desc>(.*?)</desc>", text, re.DOTALL)
    assert drawn and drawn[1] == figure.words(), "regenerate with: .venv/bin/python perf/plot.py"


def test_every_load_that_is_compared_is_plotted_under_a_name_of_its_own() -> None:
    names = [label(workload.name) for workload in WORKLOADS]
    assert len(set(names)) == len(names) and not any("conn x" in name or "b " in name[:6] for name in names)
    assert [name for name, _ in next(figure for figure in FIGURES if figure.name == "throughput").rows] == names


def test_a_file_that_holds_no_results_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("[]")
    with pytest.raises(ValueError, match=r"other\.json was not written by"):
        figures([path])


def test_plotting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    drawn = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        command = [sys.executable, str(ROOT / "perf/plot.py"), "--out", str(tmp_path / name)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        drawn.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert drawn[0] == drawn[1] and set(drawn[0]) == {f"{figure.name}.svg" for figure in FIGURES}
