"""What can be checked of the TypeScript client without Node: taste, documents, what is shipped."""

import json
import re
from pathlib import Path

import pytest

from tests.unit.test_structure import BANNED_NAMES

FOLDER = Path(__file__).parents[2] / "bindings" / "ts"
GENERATED = {"commands.ts", "fields.ts"}
SOURCES = sorted(path for part in ("src", "test", "examples") for path in (FOLDER / part).rglob("*.ts"))


def test_files_are_short_and_called_after_something() -> None:
    assert SOURCES
    for path in SOURCES:
        assert path.stem not in BANNED_NAMES, path
        assert path.name in GENERATED or path.read_text(encoding="utf-8").count("\n") <= 500, path


def test_only_the_connection_has_a_socket() -> None:
    users = [path.name for path in (FOLDER / "src").rglob("*.ts") if "node:net" in path.read_text(encoding="utf-8")]
    assert users == ["connection.ts"]


def test_nothing_but_the_platform_is_needed_at_run_time() -> None:
    package = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & set(package)
    for path in (FOLDER / "src").rglob("*.ts"):
        for name in re.findall(r'from "([^"]+)"', path.read_text(encoding="utf-8")):
            assert name.startswith(("./", "../", "node:")), f"{path.name} imports {name}"


@pytest.mark.parametrize("folder", ["bindings/ts", "perf/sdk"])
def test_packages_for_development_are_pinned(folder: str) -> None:
    package = json.loads((FOLDER.parents[1] / folder / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((FOLDER.parents[1] / folder / "package-lock.json").read_text(encoding="utf-8"))
    for name, version in package["devDependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name} {version}"
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    assert not [row for row in lock["packages"].values() if "resolved" in row], (
        "no registry's addresses in the lock file"
    )


def public_names() -> set[str]:
    """What index.ts and testing/index.ts export, by themselves or from whole files."""
    names: set[str] = set()
    for index in ("src/index.ts", "src/testing/index.ts"):
        text = (FOLDER / index).read_text(encoding="utf-8")
        for listed in re.findall(r"export (?:type )?\{([^}]+)\}", text):
            words = [part.strip().removeprefix("type ") for part in listed.split(",") if part.strip()]
            names |= {word.split(" as ")[-1] for word in words}
        for file in re.findall(r'export (?:type )?\* from "\./(\w+)\.js"', text):
            source = (FOLDER / "src" / f"{file}.ts").read_text(encoding="utf-8")
            names |= set(
                re.findall(r"^export (?:abstract )?(?:class|interface|type|const|function) (\w+)", source, re.M)
            )
    return names


def test_every_public_name_is_in_the_readme() -> None:
    names = public_names()
    assert {"Queue", "Worker", "NotFoundError", "PushOptions", "Job", "FakeServer"} <= names
    words = set(re.findall(r"\w+", (FOLDER / "README.md").read_text(encoding="utf-8")))
    assert not names - words


def methods_of(file: str) -> set[str]:
    """Public methods and accessors of a file's classes."""
    text = (FOLDER / "src" / file).read_text(encoding="utf-8")
    return set(re.findall(r"^  (?:static |async |get |\*)*(\w+)(?:<[^>]*>)?\((?!.*;$)", text, re.M)) - {"constructor"}


@pytest.mark.parametrize("file", ["queue.ts", "client.ts", "worker.ts"])
def test_every_public_method_is_in_the_readme(file: str) -> None:
    methods = methods_of(file)
    assert len(methods) > 4
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    missing = [name for name in methods if not re.search(rf"\b{name}\(|`{name}`", text)]
    assert not missing


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (FOLDER / "README.md").read_text(encoding="utf-8")):
        assert "://" in target or (FOLDER / target).exists(), target
