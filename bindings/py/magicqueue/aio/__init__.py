"""The client for asyncio: the names of `magicqueue`, as coroutines."""

from ._client import EventStream, MagicQueueClient
from ._queue import Queue
from ._tasks import JobHandle, Task
from ._worker import JobContext, Worker

__all__ = ["EventStream", "JobContext", "JobHandle", "MagicQueueClient", "Queue", "Task", "Worker"]
