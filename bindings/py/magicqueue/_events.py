"""Events: one subscription on the wire for each queue, however many iterators look at it. Nothing here locks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ._core import Answer, Core, Entry, Listener, encode_json
from ._jobs import Event, from_wire
from .errors import MagicQueueError

MAX_KEPT = 10_000
"""Events kept for a reader that is slower than they come; what is over is dropped and counted."""


class EventBuffer:
    """What one iterator has to read. names: of events, none for all."""

    def __init__(self, queue: str, names: Iterable[str]) -> None:
        self.queue = queue
        self.names = frozenset(names)
        self._kept: deque[Event] = deque()
        self._dropped = 0
        self._dropped_seq = 0
        self._arrivals: list[Entry] = []
        self.failure: Exception | None = None
        self.has_ended = False

    def wants(self, event: Event) -> bool:
        return self.queue in ("*", event.queue) and (not self.names or event.event in self.names)

    def add(self, event: Event) -> None:
        """Keep an event, and wake who waits for one."""
        if self._dropped or len(self._kept) >= MAX_KEPT:
            if not self._dropped:
                self._dropped_seq = event.seq
            self._dropped += 1
            return
        self._kept.append(event)
        self._arrive()

    def take(self) -> Event | None:
        """The next event; None if there is none now."""
        if self._kept:
            return self._kept.popleft()
        if self._dropped:
            count, self._dropped = self._dropped, 0
            return Event("dropped", seq=self._dropped_seq, count=count)
        return None

    def arrival(self) -> Entry:
        """Is settled with the next event, or at the end."""
        entry = Entry("")
        self._arrivals.append(entry)
        return entry

    def forget(self, arrival: Entry) -> None:
        """Nobody waits for it any more."""
        if arrival in self._arrivals:
            self._arrivals.remove(arrival)

    def end(self, failure: Exception | None = None) -> None:
        """No more events; what is kept can still be read, then the failure is raised, once."""
        self.has_ended = True
        self.failure = failure
        self._arrive()

    def _arrive(self) -> None:
        arrivals, self._arrivals = self._arrivals, []
        for entry in arrivals:
            entry.settle({})


class Subscriptions(Listener):
    """The subscriptions of one connection. submit: sends an entry."""

    def __init__(self, core: Core, submit: Callable[[Entry], None]) -> None:
        self._core = core
        self._submit = submit
        self._buffers: list[EventBuffer] = []
        core.listeners.append(self)

    def add(self, buffer: EventBuffer) -> Entry:
        """Tell a buffer what happens once the returned request is answered; `remove` it if that is refused."""
        self._buffers.append(buffer)
        self._core.is_listening = True
        return self._tell(buffer.queue)

    def remove(self, buffer: EventBuffer) -> None:
        """End a buffer."""
        if buffer in self._buffers:
            self._buffers.remove(buffer)
            self._core.is_listening = bool(self._buffers)
            if self._core.is_open:
                # A connection that ends meanwhile has ended its subscriptions too.
                self._tell(buffer.queue)
        buffer.end()

    def end(self) -> None:
        """End all buffers."""
        buffers, self._buffers = self._buffers, []
        self._core.is_listening = False
        for buffer in buffers:
            buffer.end()

    def on_event(self, event: Answer) -> None:
        told = from_wire(Event, event)
        for buffer in self._buffers:
            if told.event == "dropped" or buffer.wants(told):
                buffer.add(told)

    def on_open(self, is_again: bool) -> None:
        if is_again:
            for queue in {buffer.queue for buffer in self._buffers}:
                self._renew(queue)

    def on_trouble(self, error: Exception, is_loss: bool) -> None:
        if self._core.is_closed:
            self._fail(self._buffers, error)

    def on_reset(self) -> None:
        self.end()

    def _renew(self, queue: str) -> None:
        buffers = [buffer for buffer in self._buffers if buffer.queue == queue]

        def renewed(entry: Entry) -> None:
            if entry.error is None:
                for buffer in buffers:
                    buffer.add(Event("reconnected"))
            elif self._core.is_open:
                # The daemon has refused; after another loss the next connection tries again.
                self._fail(buffers, entry.error)

        self._tell(queue, renewed)

    def _fail(self, buffers: Iterable[EventBuffer], error: Exception) -> None:
        for buffer in list(buffers):
            self._buffers.remove(buffer)
            buffer.end(error if isinstance(error, MagicQueueError) else None)
        self._core.is_listening = bool(self._buffers)

    def _tell(self, queue: str, on_settled: Callable[[Entry], None] | None = None) -> Entry:
        """Make the daemon's subscription to a queue what the buffers need together: a new one replaces the old."""
        buffers = [buffer for buffer in self._buffers if buffer.queue == queue]
        request: dict[str, Any] = {"cmd": "UNSUBSCRIBE", "queue": queue}
        if buffers:
            are_all = not all(buffer.names for buffer in buffers)
            names = set() if are_all else {name for buffer in buffers for name in buffer.names}
            request = {"cmd": "SUBSCRIBE", "queue": queue, "events": sorted(names)}
        entry = Entry(encode_json(request), on_settled=on_settled)
        self._submit(entry)
        return entry
