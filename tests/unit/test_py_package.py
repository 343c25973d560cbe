"""What can be checked of the Python client without a daemon: taste, documents, what is shipped."""

import ast
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import magicqueue
import magicqueue.aio
import magicqueue.testing
from tests.unit.test_structure import BANNED_NAMES

FOLDER = Path(__file__).parents[2] / "bindings" / "py"
SOURCES = sorted((FOLDER / "magicqueue").rglob("*.py"))
MODULES = [magicqueue, magicqueue.aio, magicqueue.testing]
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_files_are_short_and_called_after_something() -> None:
    assert len(SOURCES) > 20
    for path in (*SOURCES, *(FOLDER / "examples").glob("*.py")):
        assert path.stem.strip("_") not in BANNED_NAMES, path
        assert path.read_text(encoding="utf-8").count("\n") <= 500, path


def test_functions_are_short() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 75, f"{path.name}: {node.name}"


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports, but for those of the package itself."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            names.add(node.module.partition(".")[0])
    return names


def test_nothing_but_the_standard_library_is_needed_at_run_time() -> None:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not {"dependencies", "optional-dependencies"} & set(project)
    for path in SOURCES:
        # typing_extensions is imported for type checkers only, which bring it.
        assert imports_of(path) <= {*sys.stdlib_module_names, "typing_extensions"}, path
        for line in re.findall(r".*typing_extensions.*", path.read_text(encoding="utf-8")):
            assert line.startswith("    "), f"{path.name}: {line}"


def test_only_the_link_has_a_socket() -> None:
    assert [path.name for path in SOURCES if "socket" in imports_of(path)] == ["_link.py"]


def test_only_where_addresses_are_resolved_is_the_environment_read() -> None:
    assert [path.name for path in SOURCES if "os.environ" in path.read_text(encoding="utf-8")] == ["_client.py"]


def test_every_package_is_shipped() -> None:
    listed = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.relative_to(FOLDER).parts) for path in SOURCES}
    assert set(listed) == there
    assert (FOLDER / "magicqueue" / "py.typed").exists()


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == magicqueue.__version__


def public_members(owner: type) -> Iterator[tuple[str, object]]:
    """The public methods, properties and class methods that a class adds to what it inherits from elsewhere."""
    for name in dir(owner):
        member = inspect.getattr_static(owner, name)
        function = getattr(member, "__func__", getattr(member, "fget", member))
        module = getattr(function, "__module__", None) or ""
        if not name.startswith("_") and inspect.isroutine(function) and module.startswith("magicqueue"):
            yield name, function


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_has_a_docstring(module: ModuleType) -> None:
    assert inspect.getdoc(module)
    missing = []
    for name in module.__all__:
        value = getattr(module, name)
        if not inspect.isclass(value) and not inspect.isfunction(value):
            continue
        if not value.__doc__ or value.__doc__.startswith(f"{name}("):
            missing.append(name)
        if inspect.isclass(value):
            missing += [
                f"{name}.{one}" for one, function in public_members(value) if not getattr(function, "__doc__", None)
            ]
    assert not missing


def test_constants_and_aliases_have_their_meaning_below_them() -> None:
    values = {name for name in magicqueue.__all__ if not inspect.isclass(getattr(magicqueue, name))}
    aliases = {name for name in values if not inspect.isfunction(getattr(magicqueue, name))}
    assert {"REFUSALS", "RETRYABLE_CODES", "OnConnection"} <= aliases
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    for name in aliases:
        assert re.search(rf'^{name}\b[^"]*?=(?:(?!^\S+ = ).)*?^"""\w', text, re.MULTILINE | re.DOTALL), name


def test_every_public_name_and_method_is_in_the_readme() -> None:
    words = set(re.findall(r"\w+", README))
    names = {name for module in MODULES for name in module.__all__}
    assert not names - words
    for owner in (magicqueue.Queue, magicqueue.Worker, magicqueue.MagicQueueClient, magicqueue.aio.JobContext):
        methods = {name for name, _ in public_members(owner)}
        assert len(methods) > 2
        assert not methods - words, owner


def test_both_flavours_have_the_same_names() -> None:
    for name in magicqueue.aio.__all__:
        assert name in magicqueue.__all__


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or (FOLDER / target).exists(), target
