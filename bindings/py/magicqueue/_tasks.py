"""Functions as jobs, for people who come from Celery or RQ: ``@queue.task``, then ``task.delay(...)``."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ._jobs import Job

if sys.version_info >= (3, 10):
    from typing import ParamSpec

    P = ParamSpec("P")
else:
    P = TypeVar("P")

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._commands import PushOptions
    from ._queue import Queue

R = TypeVar("R")


class UnknownTaskError(LookupError):
    """A job names a task that this program has not registered: it fails, and may be tried by a newer program."""


def payload_of(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What a call of a task is as a job's data."""
    return {"task": name, "args": list(args), "kwargs": dict(kwargs)}


def name_of(function: Callable[..., Any]) -> str:
    """A name that is the same in the program that enqueues, in a worker, and in a worker's processes."""
    module = function.__module__
    if module in ("__main__", "__mp_main__"):
        main = sys.modules.get(module)
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        # With `python -m package.module` the spec has the name that others import it by.
        module = spec.name if spec is not None else Path(file).stem if file else "__main__"
    return f"{module}.{function.__qualname__}"


class TaskBook:
    """The tasks of a queue, by name."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[Any, Any]] = {}

    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...

    @overload
    def task(
        self, /, *, name: str | None = None, **options: Unpack[PushOptions]
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...

    def task(self, function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
        """Make a function a task of this queue; ``@queue.task`` or ``@queue.task(max_attempts=3)``.

        name: default ``module.function``, where a program that is run counts as the module of its file. Options: those
        of `Queue.push`. Arguments and result must be JSON. Raises ValueError if the name is taken.
        """
        if function is None:
            return functools.partial(self._register, name, options)
        return self._register(name, options, function)

    def _register(self, name: str | None, options: Mapping[str, Any], function: Callable[..., Any]) -> Any:
        task = self._new_task(name or name_of(function), function, options)
        if task.name in self._tasks:
            raise ValueError(f"there is a task {task.name} already")
        self._tasks[task.name] = task
        return task

    def _new_task(self, name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
        if inspect.iscoroutinefunction(function):
            raise TypeError(f"{name} is a coroutine function: make it a task of a magicqueue.aio.Queue")
        return Task(self, name, function, options)

    def run_task(self, job: Job, context: Any) -> Any:
        """The handler for a worker: call what the job names. Raises UnknownTaskError, or what the function raises."""
        function, args, kwargs = self._call_of(job)
        return function(*args, **kwargs)

    def _call_of(self, job: Job) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
        payload = job.data if isinstance(job.data, dict) else {}
        task = self._tasks.get(payload.get("task", ""))
        if task is None:
            raise UnknownTaskError(f"no task {payload.get('task')!r} of queue {job.queue} is registered here")
        return task.function, payload.get("args", []), payload.get("kwargs", {})

    def __reduce__(self) -> tuple[Any, ...]:
        """A queue with tasks goes to another process by the name of one of them: its module has the queue."""
        for task in self._tasks.values():
            return _book_of, (task.function.__module__, task.function.__qualname__)
        raise TypeError("only a queue that has tasks can be given to another process")


def _book_of(module: str, qualname: str) -> TaskBook:
    target: Any = importlib.import_module(module)
    for part in qualname.split("."):
        target = getattr(target, part)
    book: TaskBook = target.book
    return book


class JobHandle:
    """A job that was enqueued."""

    def __init__(self, queue: Queue, job_id: int) -> None:
        self.queue = queue
        self.id = job_id

    def wait(self, timeout_s: float = 30.0) -> Any:
        """The task's result; waits for it. Raises as `Queue.wait_job`."""
        return self.queue.wait_job(self.id, timeout_s)

    def get(self) -> Job | None:
        """The job as it is now."""
        return self.queue.get_job(self.id)

    def cancel(self) -> None:
        """Remove the job, if it has not ended."""
        self.queue.cancel(self.id)

    def __repr__(self) -> str:
        return f"<job {self.id} of {self.queue.name}>"


class Task(Generic[P, R]):
    """A function whose calls can be jobs. Called as it is, it runs here and now."""

    def __init__(
        self, book: TaskBook, name: str, function: Callable[P, R], options: Mapping[str, Any] | None = None
    ) -> None:
        functools.update_wrapper(self, function)
        self.book = book
        self.name = name
        self.function = function
        self.options = dict(options or {})

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Enqueue a call."""
        queue: Any = self.book
        return JobHandle(queue, queue.push(payload_of(self.name, args, kwargs), **self.options))

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """The same as `delay`."""
        return self.delay(*args, **kwargs)

    def with_options(self, **options: Unpack[PushOptions]) -> Task[P, R]:
        """The same task with other options for its jobs: ``task.with_options(delay=60_000).delay(1)``."""
        return Task(self.book, self.name, self.function, {**self.options, **options})
