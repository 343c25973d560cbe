"""What one client at one queue was told, and which states of the queue that allows after a crash.

The client of a thread asks one thing after the other and nobody else uses its queue. So what the queue holds is what
all answered requests did to it, in their order, and perhaps what one more did, whose answer was lost. With less than
FSYNC=always it is what the first so many of them did.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

SECOND = 1_000
FIRE = "(fire)"  # not a command: a cron's time has come. Nobody is answered about it


@dataclass(frozen=True, slots=True)
class Note:
    """A line in the journal: `state` of the queue when the thread began, then requests and answers, numbered from 1."""

    thread: int
    number: int
    request: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None
    state: dict[str, Any] | None = None

    def text(self) -> bytes:
        return json.dumps([self.thread, self.number, self.request, self.answer, self.state]).encode()

    @classmethod
    def of(cls, text: bytes) -> Note:
        return cls(*json.loads(text))


@dataclass(frozen=True, slots=True)
class Job:
    data: str
    state: str
    priority: int = 0
    attempts: int = 0
    progress: int = 0


@dataclass(frozen=True, slots=True)
class Cron:
    """next_run: ms; None: not told."""

    data: str
    priority: int = 0
    next_run: int | None = None


@dataclass(slots=True)
class State:
    """Of a queue. told: the jobs whose ids a client knows; untold: the others."""

    told: dict[int, Job] = field(default_factory=dict)
    untold: Counter[Job] = field(default_factory=Counter)
    paused: bool = False
    cron: Cron | None = None

    @classmethod
    def seen(cls, look: dict[str, Any]) -> State:
        """From what load.look gives."""
        jobs = {job["id"]: Job(**{key: job[key] for key in job if key != "id"}) for job in look["jobs"]}
        cron = Cron(**look["cron"]) if look["cron"] else None
        return cls(jobs, Counter(), look["paused"], cron)

    def copy(self) -> State:
        return State(dict(self.told), self.untold.copy(), self.paused, self.cron)

    def ids(self, state: str) -> list[int]:
        return [id for id, job in self.told.items() if job.state == state]

    def differences(self, seen: State) -> list[str]:
        """What is not as `seen`, a state with all ids told, has it."""
        found = [
            f"job {id}: {job} expected, {seen.told.get(id)} found"
            for id, job in self.told.items()
            if seen.told.get(id) != job
        ]
        others = Counter(job for id, job in seen.told.items() if id not in self.told)
        if others != self.untold:
            found.append(f"jobs too many: {dict(others - self.untold)}, missing: {dict(self.untold - others)}")
        if self.paused != seen.paused:
            found.append(f"paused: {self.paused} expected")
        cron = self.cron
        if cron and seen.cron and cron.next_run is None:
            cron = replace(cron, next_run=seen.cron.next_run)
        if cron != seen.cron:
            found.append(f"cron: {self.cron} expected, {seen.cron} found")
        return found

    def foresee(self, request: dict[str, Any]) -> None:
        """What a request tells of the state before it."""
        if request["cmd"] == FIRE and self.cron:
            self.cron = replace(self.cron, next_run=request["slot"])

    def apply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """Do what the request did, as its answer says."""
        match request["cmd"]:
            case "PUSH":
                self.told[answer["id"]] = pushed(request)
            case "PUSHB":
                self.told.update(zip(answer["ids"], map(pushed, request["jobs"]), strict=True))
            case "PULL":
                self._pull(answer["job"])
            case _:
                self._change(request)

    def outcomes(self, request: dict[str, Any]) -> Iterator[State]:
        """The states that the request may have led to, when its answer is not known."""
        match request["cmd"]:
            case "PUSH":
                after = self.copy()
                after.untold[pushed(request)] += 1
                yield after
            case "PUSHB":
                after = self.copy()
                after.untold.update(map(pushed, request["jobs"]))
                yield after
            case "PULL":
                yield from self._pulls()
            case _:
                after = self.copy()
                after._change(request)
                yield after

    def _pull(self, job: dict[str, Any] | None) -> None:
        assert job, "nothing was pulled though jobs wait"
        if job["id"] not in self.told:
            (found,) = (row for row in self.untold if row.data == job["data"] and row.state == "waiting")
            self.untold = self.untold - Counter([found])
            self.told[job["id"]] = found
        assert self.told[job["id"]].state == "waiting", "what does not wait was pulled"
        self._set(job["id"], state="active")

    def _pulls(self) -> Iterator[State]:
        for id in self.ids("waiting"):
            after = self.copy()
            after._set(id, state="active")
            yield after
        for job in self.untold:
            if job.state == "waiting":
                after = self.copy()
                after.untold = after.untold - Counter([job]) + Counter([replace(job, state="active")])
                yield after

    def _change(self, request: dict[str, Any]) -> None:
        """The requests whose answer says nothing."""
        match request["cmd"]:
            case "ACK":
                self._set(request["id"], state="completed")
            case "ACKB":
                for id in request["ids"]:
                    self._set(id, state="completed")
            case "FAIL":
                attempts = self.told[request["id"]].attempts + 1
                self._set(request["id"], state="failed" if attempts == 2 else "waiting", attempts=attempts)
            case "RETRYDLQ":
                self._set(request["id"], state="waiting", attempts=0)
            case "PROGRESS":
                self._set(request["id"], progress=request["progress"])
            case "CANCEL":
                del self.told[request["id"]]
            case "PAUSE" | "RESUME":
                self.paused = request["cmd"] == "PAUSE"
            case "CRON":
                self.cron = Cron(request["data"], request.get("priority", 0))
            case "CRONDELETE":
                self.cron = None
            case str(cmd) if cmd == FIRE:
                assert self.cron
                self.cron = replace(self.cron, next_run=request["slot"] + SECOND)
                self.untold[Job(self.cron.data, "waiting", self.cron.priority)] += 1
            case unknown:
                raise ValueError(unknown)

    def _set(self, id: int, **fields: Any) -> None:
        self.told[id] = replace(self.told[id], **fields)


def pushed(request: dict[str, Any]) -> Job:
    return Job(request["data"], "delayed" if request.get("delay") else "waiting", request.get("priority", 0))


@dataclass(slots=True)
class Exchange:
    """A request and its answer, with their places in the journal; answer None: there was none yet."""

    request: dict[str, Any]
    asked_at: int
    answer: dict[str, Any] | None = None
    answered_at: int = 0

    @property
    def is_awaited(self) -> bool:
        """Is the answer given only when what it tells is on the disk, with FSYNC=always?"""
        return str(self.request["cmd"]) != FIRE


@dataclass(slots=True)
class History:
    """Of one thread since a moment when its queue's state was known, and was on the disk."""

    begin: State = field(default_factory=State)
    exchanges: list[Exchange] = field(default_factory=list)
    begun_at: int = 0  # in the journal

    def take(self, note: Note, at: int) -> None:
        if note.state is not None:
            self.begin, self.exchanges, self.begun_at = State.seen(note.state), [], at
        elif note.request is not None:
            self.exchanges.append(Exchange(note.request, at))
        else:
            self.exchanges[-1].answer, self.exchanges[-1].answered_at = note.answer, at

    @property
    def answered(self) -> int:
        return sum(exchange.answer is not None for exchange in self.exchanges)

    def answered_before(self, place: int) -> int:
        """How many were, at this place in the journal."""
        return sum(exchange.answer is not None and exchange.answered_at < place for exchange in self.exchanges)

    def fits(self, seen: State, least: int) -> set[int]:
        """After how many exchanges, of at least so many, the queue may have been as `seen`."""
        state, found = self.begin.copy(), set()
        for number, exchange in enumerate(self.exchanges):
            state.foresee(exchange.request)
            if number >= least and not state.differences(seen):
                found.add(number)
            if exchange.answer is None:
                if any(not after.differences(seen) for after in state.outcomes(exchange.request)):
                    found.add(number + 1)
                return found
            state.apply(exchange.request, exchange.answer)
        if not state.differences(seen):
            found.add(len(self.exchanges))
        return found

    def after(self, number: int) -> State:
        """The state after so many answered exchanges."""
        state = self.begin.copy()
        for exchange in self.exchanges[:number]:
            state.foresee(exchange.request)
            state.apply(exchange.request, exchange.answer or {})
        return state
