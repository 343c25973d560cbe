"""A progress bar on stderr, where that is a terminal."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

Advance = Callable[[int, int], None]
"""advance(bytes, jobs) that have been done since the last call."""


@contextmanager
def progress_bar(title: str, file: IO[bytes] | None = None, total_jobs: int | None = None) -> Iterator[Advance]:
    """Show how far the reading of the file is, or how many jobs of the total are done; without either, only a count."""
    if not sys.stderr.isatty():
        yield lambda size, jobs: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    size = _size(file)
    known = size is not None or total_jobs is not None
    columns = [SpinnerColumn(), TextColumn("{task.description}")]
    if known:
        columns += [BarColumn(), TextColumn("{task.percentage:>3.0f}%")]
    columns += [TextColumn("{task.fields[jobs]:,} jobs"), TextColumn("[dim]{task.fields[rate]:,.0f}/s")]
    if known:
        columns += [TimeRemainingColumn(compact=True)]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=size if size is not None else total_jobs, jobs=0, rate=0.0)
        done = 0

        def advance(read: int, jobs: int) -> None:
            nonlocal done
            done += jobs
            elapsed = progress.tasks[0].elapsed or 0
            rate = done / elapsed if elapsed > 0 else 0.0
            progress.update(task, advance=jobs if size is None else read, jobs=done, rate=rate)

        yield advance


def _size(file: IO[bytes] | None) -> int | None:
    if file is None:
        return None
    try:
        status = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
