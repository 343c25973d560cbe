"""Builds mqfast._engine: the Cython module and every C file of csrc/ in one extension.

Metadata is in pyproject.toml. MQFAST_DEBUG=1 builds with assertions and sanitizers; a Python that loads such a module
needs the sanitizer first: LD_PRELOAD=$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0.
"""

import ast
import os
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("MQFAST_DEBUG", "0") not in ("", "0")
MODE = "debug" if DEBUG else "release"
PARTS = ("base", "wire", "queue", "log", "command", "net")
GENERATED = f"build/cython-{MODE}"

COMPILE = ["-std=gnu11", "-fvisibility=hidden", "-fno-plt", "-Wall", "-Wextra"]
if DEBUG:
    MODE_FLAGS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
    LINK = ["-fsanitize=address,undefined"]
else:
    MODE_FLAGS = ["-O2", "-flto", "-g1"]
    LINK = ["-O2", "-flto=auto", "-g1"]
QUIET = ["-Wno-unused-parameter", "-Wno-missing-field-initializers"]  # of what Cython writes


def version() -> str:
    """The literal in mqfast/__init__.py."""
    for node in ast.parse(Path("mqfast/__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__version__":
            return str(ast.literal_eval(node.value))
    raise RuntimeError("mqfast/__init__.py has no __version__")


def files(*patterns: str) -> list[str]:
    return sorted(str(path) for pattern in patterns for path in Path().glob(pattern))


class BuildExt(build_ext):
    """Compiles the files side by side, and only those older than their source or any header."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.build_temp = f"build/{MODE}-{sysconfig.get_platform()}-{sysconfig.get_config_var('SOABI')}"
        self.force = True  # always link; what to compile is decided below

    def build_extensions(self) -> None:
        compile_all = self.compiler.compile

        def compile_one(source, options):
            (target,) = self.compiler.object_filenames([source], output_dir=options["output_dir"])
            inputs = [source, *options["depends"]]
            if Path(target).exists() and Path(target).stat().st_mtime > max(os.stat(name).st_mtime for name in inputs):
                return [target]
            if source.startswith(GENERATED):
                options = {**options, "extra_postargs": [*options["extra_postargs"], *QUIET]}
            return compile_all([source], **options)

        def compile_parallel(sources, **options):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return list(chain.from_iterable(pool.map(lambda source: compile_one(source, options), sources)))

        self.compiler.compile = compile_parallel
        super().build_extensions()


engine = Extension(
    "mqfast._engine",
    sources=["mqfast/_engine.pyx", *files(*(f"csrc/{part}/*.c" for part in PARTS))],
    depends=["setup.py", "mqfast/__init__.py", *files("mqfast/*.pxd", "csrc/*.def", "csrc/**/*.h")],
    include_dirs=["csrc", "csrc/include"],
    define_macros=[("_GNU_SOURCE", None), ("MQ_VERSION", f'"{version()}"'), *([("MQ_DEBUG", None)] if DEBUG else [])],
    libraries=["ssl", "crypto"],
    undef_macros=["NDEBUG"],  # which Python's own flags define: assertions stay on
    extra_compile_args=COMPILE + MODE_FLAGS,
    extra_link_args=LINK,
)

setup(
    ext_modules=cythonize([engine], build_dir=GENERATED, language_level=3),
    cmdclass={"build_ext": BuildExt},
)
