"""For users' unit tests: a daemon in memory whose time stands still until the test moves it."""

from ._queue import FakeQueue
from ._server import FakeServer

__all__ = ["FakeQueue", "FakeServer"]
