"""The model beside an engine that is asked over real sockets only, and asked badly: lines cut anywhere, several in one
write, in every form that means the same, and by connections that die, some in the middle of a line.

What is sent to one connection is followed by something on another only after its answers came, so the order of
execution is known. Time is the test's, as in side_by_side. What a step does to the wire follows from its number and
the seed: steps can be left out when a failure is minimised. Jobs pulled without a lease are their connection's. Nothing
here waits: pulls have a timeout of 0.
"""

from __future__ import annotations

import json
import random
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from mqfast._engine import Reactors
from tests.model.commands import Move, Send, Step
from tests.model.model import Model
from tests.model.requests import STATES, U64, Answer
from tests.model.side_by_side import SideBySide
from tests.model.state import Mismatch
from tests.model.wire import pieces, varied
from tests.tcp.client import Client

CONNECTIONS = 3
REACTORS = 2
DEADLINE_S = 30.0
WAITS = ("PULL", "PULLB", "WAITJOB")
ALONE = ("GETJOBS",)  # what is asked next depends on its answer
NOISE = (b"", b"\r", b"{", b"[]", b'"x"', b'{"cmd":7}', b'{"cmd":"NOPE"}', b"\xff", b'{"cmd":"PING"}\x00', b"{" * 300)
"""Lines that are refused; each has one answer."""


class HoldingModel(Model):
    """Deliveries without a lease are held by the connection that asks."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.caller = ""
        self.delivered: dict[int, int] = {}  # when each job was given out last, as a number that grows

    def _deliver(self, name: str, count: int, lease: int | None, heard: Any, holder: str | None = None) -> list[Answer]:
        shown = super()._deliver(name, count, lease, heard, self.caller if lease is None else None)
        for job in shown:
            self.delivered[job["id"]] = max(self.delivered.values(), default=0) + 1
        return shown

    def lose(self, holder: str) -> None:
        """In the order in which they were given out: so they come to stand in the dead-letter queue."""
        held = [job for job in self.jobs.values() if job.state == "active" and job.holder == holder]
        for job in sorted(held, key=lambda job: self.delivered[job.id]):
            self._lost(job, "worker_lost")


class OverSockets(SideBySide):
    """transport: "tcp" or "unix". wire_seed: of what is done to the wire."""

    model_type = HoldingModel
    model: HoldingModel

    def __init__(self, *, transport: str, wire_seed: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.seed = wire_seed
        self.transport = transport
        self.held_back: list[Send] = []  # steps that go out in one write
        self.folder = tempfile.TemporaryDirectory(prefix="mq")
        self.reactors = Reactors(self.engine, REACTORS)
        self._listen()
        self.threads = [threading.Thread(target=self.reactors.run, args=(index,)) for index in range(REACTORS)]
        for thread in self.threads:
            thread.start()
        self.opened = 0
        self.clients: list[tuple[str, Client]] = []
        while len(self.clients) < CONNECTIONS:
            self._connect()
        self.chance = random.Random(wire_seed)

    def _listen(self) -> None:
        if self.transport == "tcp":
            listener = socket.create_server(("127.0.0.1", 0))
            self.address: Any = listener.getsockname()
        else:
            listener = socket.socket(socket.AF_UNIX)
            self.address = str(Path(self.folder.name, "s"))
            listener.bind(self.address)
            listener.listen()
        listener.setblocking(False)
        self.reactors.listen(listener.detach())

    def _connect(self) -> None:
        self.opened += 1
        client = Client(self.address, DEADLINE_S)
        client.ping()  # it is there, for CLIENTS too
        self.clients.append((f"connection {self.opened}", client))

    def finish(self) -> None:
        """Everything that can be asked about is asked about."""
        self._flush()
        for queue in self.model.queues:
            self._ask({"cmd": "DLQ", "queue": queue, "count": U64})
            self._ask({"cmd": "ISPAUSED", "queue": queue})
            for state in STATES:
                self._ask({"cmd": "GETJOBS", "queue": queue, "state": state, "limit": 1000})
        for id in sorted(self.model.given):
            self._ask({"cmd": "GETJOB", "id": id})
            self._ask({"cmd": "GETRESULT", "id": id})
        for cmd in ("STATS", "LISTQUEUES", "METRICS"):
            self._ask({"cmd": cmd})
        super().finish()

    def close(self) -> None:
        for _, client in self.clients:
            client.close()
        self.reactors.stop(force=True)
        for thread in self.threads:
            thread.join()
        self.reactors.close()
        self.folder.cleanup()
        super().close()

    # Steps

    def run(self, step: Step) -> None:
        self.lines = []
        self.chance = random.Random(f"{self.seed} {step.step}")
        if self.chance.random() < 0.05:
            self._flush()
            self._lose_one(step)
        if isinstance(step, Move):
            self._flush()
            super().run(step)
            return
        self.held_back.append(step)
        if self.thorough or self.chance.random() < 0.6 or str(step.request["cmd"]).upper() in ALONE:
            self._flush()

    def _flush(self) -> None:
        """Send what was held back in one write, over one connection, and take the answers."""
        if not self.held_back:
            return
        sends, self.held_back = self.held_back, []
        requests = [self._request(send) for send in sends]
        lines = [varied(request, self.chance) for request in requests]
        answers = self._exchange([line.encode() for line in lines])
        for send, request, line, raw in zip(sends, requests, lines, answers, strict=True):
            self._learn(send, request, self._compare(request, line, raw))
        self._look(sends[-1])

    def _request(self, send: Send) -> Answer:
        request = super()._request(send)
        if request["cmd"].upper() in WAITS:
            timeout = request.get("timeout")
            if timeout is None or (type(timeout) is int and 0 <= timeout <= U64):
                request["timeout"] = 0
        return request

    def _learn(self, send: Send, request: Answer, heard: Answer) -> None:
        for job in heard.get("jobs") or [heard.get("job")]:
            if job and request["cmd"].upper() in WAITS:
                self.deliveries.setdefault(job["id"], [])
        super()._learn(send, request, heard)

    def _lose_one(self, step: Step) -> None:
        """A connection dies, perhaps in the middle of a line, and another takes its place."""
        name, client = self.clients.pop(self.chance.randrange(CONNECTIONS))
        self.lines.append(f"{name} dies")
        if isinstance(step, Send) and self.chance.random() < 0.5:
            line = varied(self._request(step), self.chance).encode()
            client.send_bytes(line[: self.chance.randrange(len(line) + 1)])  # whole, it lacks its newline
        if self.chance.random() < 0.5:
            client.reset()
        else:
            client.close()
        deadline = time.monotonic() + DEADLINE_S
        while len(json.loads(self.engine.execute(b'{"cmd":"CLIENTS"}'))["connections"]) > len(self.clients):
            if time.monotonic() > deadline:
                raise Mismatch(f"{name} has ended and is still there")
        self.model.moment += 1
        self.model.lose(name)
        self._connect()
        self._look(step)

    # Lines

    def _execute(self, line: bytes) -> bytes:
        return self._exchange([line])[0]

    def _exchange(self, lines: list[bytes]) -> list[bytes]:
        """An answer for each line, in order; lines that are refused stand between them."""
        name, client = self.chance.choice(self.clients)
        self.model.caller = name
        sent: list[tuple[bytes, bool]] = []
        for line in lines:
            if self.chance.random() < 0.1:
                sent.append((self.chance.choice(NOISE), False))
            sent.append((line, True))
        data = b"".join(line + (b"\r\n" if self.chance.random() < 0.1 else b"\n") for line, _ in sent)
        for piece in pieces(data, self.chance):
            client.send_bytes(piece)
        answers = []
        for line, is_asked in sent:
            answer = client.receive_line()
            if is_asked:
                answers.append(answer)
            elif json.loads(answer).get("code") not in ("invalid", "unknown_command"):
                raise Mismatch(f"{line!r} is answered {answer!r}")
        if client.has_answer():
            raise Mismatch(f"an answer to nothing: {client.receive_line()!r}")
        return answers
