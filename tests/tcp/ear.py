"""A connection that listens: event lines, held against what the contract says of every one of them."""

from __future__ import annotations

from tests.tcp.client import Answer, Client

KINDS = (
    "pushed",
    "active",
    "completed",
    "failed",
    "retrying",
    "timeout",
    "expired",
    "cancelled",
    "progress",
    "stalled",
)


class Ear:
    """A subscribed connection: takes event lines and holds each against what the contract says of all of them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.seq = 0

    def subscribe(self, queue: str, *kinds: str) -> Ear:
        assert self.client.ok("SUBSCRIBE", queue=queue, events=list(kinds)) == {"ok": True}
        return self

    def check(self, line: Answer) -> Answer:
        """The line, which has to be the next event of this connection."""
        assert set(line) == {"event", "queue", "job", "seq"}, line
        self.seq += 1
        assert line["seq"] == self.seq, line
        assert line["event"] in KINDS
        assert type(line["job"]) is int
        return line

    def next(self) -> tuple[str, int]:
        line = self.check(self.client.receive())
        return line["event"], line["job"]

    def hears(self, *expected: tuple[str, int]) -> None:
        """The next events are these, in this order."""
        assert [self.next() for _ in expected] == list(expected)
