"""An engine and the model, driven side by side: every answer is compared, and every count after every step."""

from __future__ import annotations

import json
from typing import Any

from mqfast._engine import Engine, tables
from tests.model.commands import MAX_JOB_BYTES, Cursor, Id, Move, NextId, Send, Step, Token
from tests.model.job import NEVER
from tests.model.model import Model
from tests.model.requests import SHOWN, Answer, written
from tests.model.state import Mismatch

START = 1_800_000_000_000
COMMANDS = {row[0] for row in tables()[1]}
KNOWN = 200  # as many ids are remembered


def _takes_dependencies() -> bool:
    engine = Engine(manual_time_ms=START)
    id = json.loads(engine.execute(b'{"cmd":"PUSH","queue":"q","data":1}'))["id"]
    answer = engine.execute(b'{"cmd":"PUSH","queue":"q","data":1,"depends_on":[%d]}' % id)
    engine.close()
    return b"not_supported" not in answer


HAS = frozenset(COMMANDS | ({"depends_on"} if _takes_dependencies() else set()))


class SideBySide:
    model_type: type[Model] = Model

    def __init__(self, **settings: Any) -> None:
        self.model = self.model_type(START, max_job_bytes=MAX_JOB_BYTES, **settings)
        self.engine = Engine(manual_time_ms=START, max_job_bytes=MAX_JOB_BYTES, **settings)
        self.has = HAS
        self.known: list[int] = []
        self.names: dict[int, Id] = {}
        self.ids: dict[Id, int] = {}
        self.deliveries: dict[int, list[str]] = {}
        self.walk: tuple[Cursor, dict[str, Any]] | None = None  # a listing that has not come to its end
        self.cursors: dict[Cursor, str] = {}
        self.steps = 0
        self.thorough = False  # look at every job after every step
        self.check_every = 50  # steps; a difference found so ends the process
        self.lines: list[str] = []  # of the last step, to be read by people

    def finish(self) -> None:
        """After the last step. Raises Mismatch."""
        self.engine.check()

    def close(self) -> None:
        self.engine.close()

    def run(self, step: Step) -> None:
        """Raises Mismatch."""
        self.lines = []
        if isinstance(step, Move):
            self._move(step)
        else:
            self._send(step)
        self._look(step)

    def _look(self, step: Step) -> None:
        """After a step: do both agree?"""
        self._compare_next_due(self.engine.tick())  # what the daemon's loops do within milliseconds
        self.model.note_walks()
        self._compare_counts()
        if self.known:
            for id in self.known if self.thorough else [self.known[step.step * 7919 % len(self.known)]]:
                self._ask({"cmd": "GETJOB", "id": id})
        self.steps += 1
        if self.thorough or self.steps % 20 == 0:
            for queue in self.model.queues:
                self._ask({"cmd": "DLQ", "queue": queue})
        if self.steps % self.check_every == 0:
            self.engine.check()

    # Time

    def _move(self, move: Move) -> None:
        model = self.model
        target = model.now
        if move.deadline:
            deadlines = model.deadlines()
            if not deadlines:
                return
            target = deadlines[min(move.deadline, len(deadlines)) - 1]
        target = max(model.now, target + move.by)
        if target > SHOWN // 2:
            return
        if not move.jump:
            while (between := model.deadlines()) and between[0] < target:
                self._set_time(between[0])
        self._set_time(target)

    def _set_time(self, now: int) -> None:
        self.lines.append(f"time {now - START:+}")
        self.engine.set_time(now)
        self.engine.tick()
        self.model.advance(now, self._engine_state)

    def _engine_state(self, id: int) -> str:
        return str(json.loads(self.engine.execute(b'{"cmd":"GETJOB","id":%d}' % id))["state"])

    # Commands

    def _send(self, send: Send) -> None:
        request = self._request(send)
        self._learn(send, request, self._ask(request))

    def _request(self, send: Send) -> Answer:
        return {name: self._resolved(value) for name, value in send.request.items()}

    def _learn(self, send: Send, request: Answer, heard: Answer) -> None:
        """What later steps may name."""
        if heard.get("ok"):
            cmd = request["cmd"].upper()
            for item, id in enumerate(heard["ids"] if cmd == "PUSHB" else [heard["id"]] if cmd == "PUSH" else []):
                if id:
                    self._remember(Id(send.step, item), id)
            for job in heard["jobs"] if cmd == "PULLB" else [heard["job"]] if cmd == "PULL" else []:
                if job:
                    self.deliveries[job["id"]].append(job["token"])
            if cmd == "GETJOBS":
                self._walk_on(send, request, heard["cursor"])

    def _walk_on(self, send: Send, request: Answer, cursor: str | None) -> None:
        """Every other listing goes on at once, the others when their turn comes."""
        self.walk = None
        if send.step % 2:
            while cursor is not None:
                cursor = self._ask(request | {"cursor": cursor, "limit": send.step % 5 + 1})["cursor"]
        elif cursor is not None:
            name = Cursor(send.step)
            self.cursors = {name: cursor}
            self.walk = (
                name,
                {key: value for key, value in request.items() if key in ("queue", "state", "dir", "reason")},
            )

    def _remember(self, name: Id, id: int) -> None:
        self.ids[name] = id
        self.names[id] = name
        self.deliveries[id] = []
        self.known.append(id)
        if len(self.known) > KNOWN:
            old = self.known.pop(0)
            if old in self.model.jobs:
                self.known.append(old)
            else:
                del self.ids[self.names.pop(old)], self.deliveries[old]

    def _resolved(self, value: Any) -> Any:
        if type(value) is Id:
            return self.ids.get(value, SHOWN)
        if type(value) is Token:
            tokens = self.deliveries.get(self.ids.get(value.job, 0))
            return tokens[value.delivery] if tokens else "never pulled"
        if type(value) is Cursor:
            cursor = self.cursors.get(value)
            return cursor if any(cursor == known for known, _ in self.model.walks) else None
        if type(value) is NextId:
            return self.model.last_ids.get(value.queue, 0) + 1024
        if type(value) is list:
            return [self._resolved(item) for item in value]
        if type(value) is dict:
            return {name: self._resolved(item) for name, item in value.items()}
        return value

    def _ask(self, request: Answer) -> Answer:
        line = written(request)
        return self._compare(request, line, self._execute(line.encode()))

    def _execute(self, line: bytes) -> bytes:
        return self.engine.execute(line)

    def _compare(self, request: Answer, line: str, raw: bytes) -> Answer:
        """An answer with what the model says to the request."""
        self.lines.append(f"{line}\n    -> {raw.decode()}")
        heard: Answer = json.loads(raw, parse_float=str)
        expected = self.model.execute(request, heard)
        if expected != heard:
            raise Mismatch(f"expected {expected}")
        for job in heard.get("jobs") or [heard.get("job")]:
            if job and request.get("preview") is None:
                data = '"data":' + self.model.jobs[job["id"]].data + ',"priority":'
                if data.encode() not in raw:
                    raise Mismatch(f"the data is not as it was pushed: {data}")
        return heard

    def _compare_next_due(self, heard: int | None) -> None:
        """The engine may wake for nothing, but not too late."""
        if self.thorough or self.steps % 4 == 0:
            due = min([job.due() for job in self.model.jobs.values()], default=NEVER)
            if due < SHOWN and (heard is None or heard > due):
                raise Mismatch(f"the next thing is due at {due - START:+}, the engine waits until {heard}")

    def _compare_counts(self) -> None:
        heard = json.loads(self._execute(b'{"cmd":"STATS"}'))
        if heard.pop("ok") is not True or heard != self.model.stats():
            raise Mismatch(f"STATS answers {heard}, expected {self.model.stats()}")
        queues = json.loads(self._execute(b'{"cmd":"LISTQUEUES"}'))["queues"]
        rows = {row["name"]: row for row in queues}
        if rows != (expected := self.model.rows()) or len(rows) != len(queues):
            raise Mismatch(f"LISTQUEUES answers {queues}, expected {list(expected.values())}")
