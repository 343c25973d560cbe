"""What a release consists of: the sdist builds by itself, its wheel serves where there is only what it declares.

Nothing is downloaded: the build uses the packages of this environment, and the wheel's dependencies are copied from it.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mqfast import __version__

ROOT = Path(__file__).parents[2]
BUILD_SECONDS = 600.0
OUTSIDE = ("MQFAST_DEBUG", "LD_PRELOAD", "ASAN_OPTIONS", "PYTHONPATH", "PYTHONHOME")
SETTINGS = ("HOST", "PORT", "UNIX_SOCKET", "AUTH_TOKENS", "HTTP", "PERSIST")
SOURCES = {".c", ".h", ".def", ".py", ".pyx", ".pxd", ".md", ".yaml", ".service", ".jsonl", ".ts", ".tsx", ".mjs"}
NOT_OURS = {"node_modules", "build", "build-test", "dist"}


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in (*OUTSIDE, *SETTINGS)}


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_SECONDS,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel built from it."""
    folder = tmp_path_factory.mktemp("release")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT), folder=folder)
    return folder


def sdist_names(release: Path) -> set[str]:
    (path,) = release.glob("*.tar.gz")
    assert path.name == f"mqfast-{__version__}.tar.gz"
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def wheel_of(release: Path) -> Path:
    (path,) = release.glob("*.whl")
    assert path.name.startswith(f"mqfast-{__version__}-cp3")
    return path


def test_sdist_has_the_sources_and_nothing_built(release: Path) -> None:
    names = sdist_names(release)
    for folder in ("csrc", "mqfast", "tests", "docs", "packaging", "bindings/py", "bindings/ts"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in SOURCES and not NOT_OURS & set(path.relative_to(ROOT).parts):
                assert str(path.relative_to(ROOT)) in names, path
    assert {"LICENSE", "CHANGELOG.md", "Dockerfile", "compose.yaml", ".dockerignore"} <= names
    assert not [name for name in names if name.endswith((".o", ".so", ".a", ".pyc")) or "node_modules" in name]


def test_wheel_has_what_runs_and_no_more(release: Path) -> None:
    with zipfile.ZipFile(wheel_of(release)) as archive:
        names = set(archive.namelist())
    modules = {
        str(path.relative_to(ROOT)) for path in (ROOT / "mqfast").rglob("*.py") if "node_modules" not in str(path)
    }
    assert modules <= names
    assert {"mqfast/py.typed", "mqfast/_engine.pyi", "mqfast/http/static/index.html"} <= names
    assert f"mqfast-{__version__}.dist-info/licenses/LICENSE" in names
    assert len([name for name in names if name.endswith(".so")]) == 1
    assert {name.split("/")[0] for name in names} == {"mqfast", f"mqfast-{__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".pyx", ".pxd", ".c", ".ts", ".tsx"))]


def copy_with_what_it_needs(name: str, target: Path, done: set[str]) -> None:
    """Copy a distribution of this environment, and those that it requires."""
    if name in done:
        return
    done.add(name)
    found = distribution(name)
    for file in found.files or ():
        if ".." not in file.parts:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(str(file.locate())), target / file)
    for text in found.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            copy_with_what_it_needs(canonicalize_name(requirement.name), target, done)


def test_wheel_serves_in_an_environment_with_nothing_else(release: Path, tmp_path: Path) -> None:
    home = tmp_path / "empty"
    venv.create(home, with_pip=False)
    python = home / "bin/python"
    install = ("install", "--quiet", "--no-index", "--no-deps", str(wheel_of(release)))
    run(sys.executable, "-m", "pip", "--python", str(python), *install, folder=tmp_path)
    (packages,) = home.glob("lib/python*/site-packages")
    done: set[str] = set()
    for text in distribution("mqfast").requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            copy_with_what_it_needs(canonicalize_name(requirement.name), packages, done)
    told = run(str(python), "-I", str(Path(__file__).with_name("serve_installed.py")), folder=tmp_path)
    assert told.startswith(f"mqfast {__version__} serves under Python 3.")


def test_version_stands_in_one_place() -> None:
    """The module's; everything else asks it. (The manifest's image is held against it by another test.)"""
    for name in ("pyproject.toml", "setup.py", "Dockerfile", "compose.yaml", "Makefile", "MANIFEST.in"):
        assert __version__ not in (ROOT / name).read_text(encoding="utf-8"), name
