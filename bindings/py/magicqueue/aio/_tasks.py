"""Functions as jobs, for asyncio: ``@queue.task``, then ``await task.delay(...)``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from .._jobs import Job
from .._tasks import P, TaskBook, payload_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._commands import PushOptions
    from ._queue import Queue

R = TypeVar("R")


class AsyncTaskBook(TaskBook):
    """The tasks of a queue, by name. Plain functions among them run in threads."""

    @overload  # type: ignore[override]
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...

    @overload
    def task(
        self, /, *, name: str | None = None, **options: Unpack[PushOptions]
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...

    def task(self, function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
        """Make a function a task of this queue, as `magicqueue.Queue.task` does."""
        if function is None:
            return functools.partial(self._register, name, options)
        return self._register(name, options, function)

    def _new_task(self, name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
        return Task(self, name, function, options)

    async def run_task(self, job: Job, context: Any) -> Any:
        """The handler for a worker: call what the job names. Raises UnknownTaskError, or what the function raises."""
        function, args, kwargs = self._call_of(job)
        if inspect.iscoroutinefunction(function):
            return await function(*args, **kwargs)
        return await context.to_thread(function, *args, **kwargs)


class JobHandle:
    """A job that was enqueued."""

    def __init__(self, queue: Queue, job_id: int) -> None:
        self.queue = queue
        self.id = job_id

    async def wait(self, timeout_s: float = 30.0) -> Any:
        """The task's result; waits for it. Raises as `Queue.wait_job`."""
        return await self.queue.wait_job(self.id, timeout_s)

    async def get(self) -> Job | None:
        """The job as it is now."""
        return await self.queue.get_job(self.id)

    async def cancel(self) -> None:
        """Remove the job, if it has not ended."""
        await self.queue.cancel(self.id)

    def __repr__(self) -> str:
        return f"<job {self.id} of {self.queue.name}>"


class Task(Generic[P, R]):
    """A function whose calls can be jobs. Called as it is, it runs here and now."""

    def __init__(
        self, book: AsyncTaskBook, name: str, function: Callable[P, R], options: Mapping[str, Any] | None = None
    ) -> None:
        functools.update_wrapper(self, function)
        self.book = book
        self.name = name
        self.function = function
        self.options = dict(options or {})

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    async def delay(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Enqueue a call."""
        queue: Any = self.book
        return JobHandle(queue, await queue.push(payload_of(self.name, args, kwargs), **self.options))

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """The same as `delay`."""
        return await self.delay(*args, **kwargs)

    def with_options(self, **options: Unpack[PushOptions]) -> Task[P, R]:
        """The same task with other options for its jobs."""
        return Task(self.book, self.name, self.function, {**self.options, **options})
