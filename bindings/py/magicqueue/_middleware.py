"""Hooks around what a queue pushes and what a worker runs: for tracing, metrics, error reports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ._jobs import Job


@dataclass
class PushCall:
    """Jobs on their way to a queue: mappings with ``data`` and options, which a hook may change before it yields.

    ids: what they were given, once they are accepted; 0 for what was refused of a batch; empty for `Queue.push_soon`,
    whose hooks end before there is an id. future: what that one returns, for a hook's ``add_done_callback`` (which must
    not block); None for the others.
    """

    queue: str
    jobs: list[dict[str, Any]]
    ids: list[int] = field(default_factory=list)
    future: Future[int] | None = None


class Middleware:
    """Hooks as context managers, the same for threads and asyncio: what they enclose runs where they yield.

    An error of what is enclosed is raised there; it must be raised on. Give the same middleware to queues and workers.
    """

    def push(self, call: PushCall) -> contextlib.AbstractContextManager[object]:
        """Around a push."""
        return contextlib.nullcontext()

    def process(self, job: Job, context: Any) -> contextlib.AbstractContextManager[object]:
        """Around a handler; context is its `JobContext`."""
        return contextlib.nullcontext()


@contextlib.contextmanager
def around_push(hooks: Sequence[Middleware], call: PushCall) -> Iterator[None]:
    """Everything inside all hooks; the first of them is the outermost."""
    with contextlib.ExitStack() as stack:
        for hook in hooks:
            stack.enter_context(hook.push(call))
        yield


@contextlib.contextmanager
def around_process(hooks: Sequence[Middleware], job: Job, context: Any) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for hook in hooks:
            stack.enter_context(hook.process(job, context))
        yield
