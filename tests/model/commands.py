"""Random commands and moves of time. They name jobs by the step that pushed them, so that any part of a sequence can be
played again on its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tests.model.model import Model
from tests.model.requests import COMMANDS, ITEM, NUMBERS, REASONS, STATES, U64, Raw

RED, BLUE = "red", "blue1637"  # these two share a slot
LONG = "x" * 255
QUEUES = ("q", RED, BLUE, 'é "\\\n😀', LONG)
KEYS = ("a", "b", "c", "", 'é"\\')
MAX_JOB_BYTES = 300
LARGEST = '"' + "y" * (MAX_JOB_BYTES - 2) + '"'
HOUR, DAY = 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Id:
    """The id of the job that a step pushed; its item-th, if the step was a batch."""

    step: int
    item: int = 0


@dataclass(frozen=True, slots=True)
class NextId:
    """What will be the queue's next id, or may be: it was never given out yet."""

    queue: str


@dataclass(frozen=True, slots=True)
class Token:
    """The token of a job's delivery: 0 the first, -1 the last."""

    job: Id
    delivery: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the listing of a step ended."""

    step: int


@dataclass(frozen=True, slots=True)
class Send:
    step: int
    request: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """Time goes by: `by` ms, or up to the n-th deadline and then `by` ms. In one jump, or from deadline to deadline."""

    step: int
    by: int
    deadline: int = 0
    jump: bool = False


Step = Send | Move


class World(Protocol):
    """What there is to choose from."""

    model: Model
    known: list[int]  # the ids given out last, ended ones too
    names: dict[int, Id]
    ids: dict[Id, int]
    walk: tuple[Cursor, dict[str, Any]] | None  # the listing that can go on
    has: frozenset[str]  # commands, and "depends_on"


FEW = (0, 0, 1, 2, 5, 10, 50, 100, 1000, 60_000, HOUR)
HUGE = (2**31, 2**32, 2**53 - 1, 2**53, 2**63, U64 - 1, U64)
NO_NUMBERS: tuple[Any, ...] = (-1, U64 + 1, Raw("1.5"), Raw("1e3"), Raw("1.0"), "5", True, [], {}, [1])
NO_TEXTS: tuple[Any, ...] = (5, True, [], {}, ["x"])
NO_IDS: tuple[Any, ...] = (0, -1, 2**53, U64, U64 + 2, -(2**63) - 1, "5", Raw("5.0"), Raw("5e0"), True, [5], {})
NO_LISTS: tuple[Any, ...] = (5, "x", True, {}, {"id": 1})
DATA = (
    "null", "1", '"x"', "[]", '{"a": [1, 2.50, "\\u00e9"]}', "-0.0", "1E400", "12345678901234567890123",
    LARGEST, ' { "b" :\t1 }'.strip(), '"\\ud83d\\ude00 é"',
)  # fmt: skip
TOO_LARGE = Raw('"' + "y" * (MAX_JOB_BYTES - 1) + '"')
BAD: dict[str, tuple[Any, ...]] = {
    "queue": ("", "n" * 256, "é" * 128, None, *NO_TEXTS),
    "unique_key": ("k" * 1025, *NO_TEXTS),
    "token": ("t" * 1025, *NO_TEXTS),
    "error": NO_TEXTS,
    "message": NO_TEXTS,
    "priority": (2**31, -(2**31) - 1, *NO_NUMBERS),
    "progress": (None, Raw("1.5"), "5", True, [], {}),
    "unrecoverable": (0, 1, "true", [], {}),
    "id": NO_IDS,
    "ids": (None, *NO_LISTS),
    "tokens": ([5], [True, "x"], *NO_LISTS),
    "results": NO_LISTS,
    "depends_on": ([1] * 1001, *NO_LISTS),
    "jobs": (None, *NO_LISTS),
    "data": (TOO_LARGE,),
    "result": (TOO_LARGE,),
    "state": (None, "", "unknown", "WAITING", "dlq", *NO_TEXTS),
    "dir": ("", "up", "ASC", *NO_TEXTS),
    "reason": ("", "other", "FAILED", *NO_TEXTS),
    "cursor": ("", "x", "-1", " ", "é", *NO_TEXTS),
}
BAD |= {name: NO_NUMBERS for name in NUMBERS} | {name: (0, *NO_NUMBERS) for name, low in NUMBERS.items() if low}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


class Chance:
    """Draws one step after another from what a random generator says."""

    def __init__(self, world: World, *, even: bool = False) -> None:
        """even: few queues, and also what drops much or changes little comes often, as short runs need it."""
        self.world = world
        self.queues = QUEUES[:3] if even else QUEUES
        commands = {name: 8 + weight // 4 if even else weight for name, weight in WEIGHTS.items() if name in world.has}
        self.population = [name for name, weight in commands.items() for _ in range(weight)]
        self.moves, self.leaps, self.push = 0.1, 0.02, 0.2

    def step(self, number: int, chance: random.Random) -> Step:
        self.chance = chance
        if chance.random() < 0.004:  # another mood: how often and how far time moves, and how much is pushed
            self.moves = chance.choice((0.01, 0.05, 0.1, 0.3))
            self.leaps = chance.choice((0.0, 0.0, 0.03, 0.1))
            self.push = chance.choice((0.0, 0.1, 0.3))
        if chance.random() < self.moves:
            return self.move(number)
        cmd = (
            chance.choice(self.population) if chance.random() >= self.push else chance.choice(("PUSH", "PUSH", "PUSHB"))
        )
        if cmd in ("PUSH", "PUSHB") and len(self.world.model.jobs) > 90:
            cmd = (
                "DRAIN"
                if chance.random() < 0.05
                else chance.choice(("PULLB", "ACKB", "CANCEL", "PULLB", "ACKB", "FAIL"))
            )
        request = {"cmd": cmd} | self.options(cmd)
        if chance.random() < 0.04:
            self.spoil(request, COMMANDS[cmd])
        if chance.random() < 0.05:
            request["cmd"] = chance.choice((cmd.lower(), cmd.title()))
            request = {camel(name): value for name, value in request.items()}
            request["reqId"] = chance.choice(("", "r", 'é"\\'))
        if chance.random() < 0.02:
            request["nonsense"] = chance.choice((Raw("1.5"), None, {"id": []}))
        return Send(number, request)

    def move(self, number: int) -> Move:
        chance = self.chance
        jump = chance.random() < 0.5
        kind = chance.random()
        if kind < self.leaps:
            return Move(number, chance.choice((HOUR, HOUR, DAY)), 0, jump)
        if kind < 0.4:
            deadline = 1 if chance.random() < 0.8 else chance.randrange(1, 9)
            return Move(number, chance.choice((-1, 0, 0, 0, 1)), deadline, jump)
        if kind < 0.8:
            return Move(number, chance.choice((0, 1, 1, 1, 2)), 0, jump)
        return Move(number, chance.randrange(chance.choice((10, 100, 1000, 100_000))), 0, jump)

    # Fields

    def options(self, cmd: str) -> dict[str, Any]:
        chance = self.chance
        required, optional = COMMANDS[cmd]
        if cmd == "PUSH":
            return {"queue": self.queue()} | self.job()
        if cmd == "PUSHB" and chance.random() < 0.01:
            return {"queue": self.queue(), "jobs": [self.item()] * chance.choice((30, 60))}
        if cmd == "PUSHB":
            return {"queue": self.queue(), "jobs": [self.item() for _ in range(chance.randrange(6))]}
        if cmd == "RELEASE":
            several = chance.random() < 0.5
            required = {"ids" if several else "id"}
            optional = {"tokens" if several else "token", "delay"}
            if chance.random() < 0.03:
                required = chance.choice((set(), {"id", "ids"}))
        names = sorted(required) + [name for name in sorted(optional) if chance.random() < 0.4]
        if cmd == "GETJOBS":
            names = [name for name in names if name != "cursor"]
            if self.world.walk is not None and chance.random() < 0.6:
                cursor, query = self.world.walk
                return {"cursor": cursor, "limit": chance.choice((1, 2, 5))} | query
        request: dict[str, Any] = {}
        for name in names:
            request[name] = self.value(cmd, name, request)
        jobs = list(self.world.model.jobs.values())
        if cmd == "RETRYDLQ" and type(request.get("id")) is Id and chance.random() < 0.9:
            job = self.world.model.jobs.get(self.world.ids[request["id"]])
            request["queue"] = job.queue if job else request["queue"]
        if cmd == "GETJOBS" and jobs and chance.random() < 0.7:
            example = chance.choice(jobs)
            request |= {"queue": example.queue, "state": example.state}
        if cmd == "GETJOBS" and "reason" in request:
            request["state"] = "failed" if chance.random() < 0.9 else self.chance.choice(STATES)
        return request

    def value(self, cmd: str, name: str, request: dict[str, Any]) -> Any:
        chance = self.chance
        if chance.random() < 0.03 and name in COMMANDS[cmd][1]:
            return None
        if name == "queue":
            return self.queue()
        if name == "id":
            return self.id(cmd)
        if name == "ids":
            return [self.id(cmd) for _ in range(chance.randrange(6))]
        if name in ("token", "tokens"):
            return self.tokens(name, request)
        if name == "results":
            return [Raw(chance.choice(DATA)) if chance.random() < 0.95 else TOO_LARGE for _ in self.length(request)]
        if name in VALUES:
            return VALUES[name](chance)
        return self.number(name)

    def queue(self) -> str:
        return self.chance.choice(self.queues) if self.chance.random() < 0.97 else "never pushed to"

    def number(self, name: str) -> int:
        number = self.chance.choice(FEW) if self.chance.random() < 0.95 else self.chance.choice(HUGE)
        return max(number, NUMBERS.get(name, 0))

    def id(self, cmd: str) -> Any:
        chance, model = self.chance, self.world.model
        kind = chance.random()
        if kind < 0.7:
            states = LIKES.get(cmd)
            liked = [job for job in model.jobs.values() if states is None or job.state in states]
            if liked:
                return self.world.names[chance.choice(liked).id]
        if kind < 0.95 and self.world.known:
            return self.world.names[chance.choice(self.world.known)]
        return NextId(chance.choice(self.queues)) if kind < 0.98 else chance.choice((1, 1024, 2**53 - 1, 2**53 - 2))

    def tokens(self, name: str, request: dict[str, Any]) -> Any:
        if name == "token":
            return self.token(request.get("id"))
        ids = request.get("ids") or []
        return [self.token(id) if self.chance.random() < 0.8 else None for id in ids] + self.surplus()

    def token(self, id: Any) -> Any:
        kind = self.chance.random()
        if kind < 0.85 and isinstance(id, Id):
            return Token(id, -1 if kind < 0.7 else 0)
        return self.chance.choice(("wrong", "", "é"))

    def length(self, request: dict[str, Any]) -> list[Any]:
        return [*(request.get("ids") or []), *self.surplus()]

    def surplus(self) -> list[Any]:
        return [None] if self.chance.random() < 0.02 else []

    def job(self) -> dict[str, Any]:
        chance = self.chance
        job: dict[str, Any] = {"data": Raw(chance.choice(DATA))}
        if chance.random() < 0.1:
            job |= {"timeout": chance.choice((1, 10, 100, 1000)), "max_attempts": chance.choice((1, 2))}
        often = chance.choice((0.0, 0.15, 0.4))
        for name in sorted(ITEM[1]):
            if chance.random() < often:
                job[name] = self.job_option(name)
        if chance.random() < 0.05:
            job.pop("depends_on", None)
        return job

    def job_option(self, name: str) -> Any:
        chance = self.chance
        if name == "depends_on":
            if "depends_on" not in self.world.has:
                return chance.choice(([], None))
            ids = [self.id("DEPENDS_ON") for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3)))]
            return ids * chance.choice((2, 2, 2, 60)) if chance.random() < 0.1 else ids
        if chance.random() < 0.03:
            return None
        if name in VALUES:
            return VALUES[name](chance)
        return self.number(name)

    def item(self) -> Any:
        item = self.job()
        if self.chance.random() < 0.06:
            if self.chance.random() < 0.2:
                return self.chance.choice((7, None, [], "x", {}))
            self.spoil(item, ITEM)
        return item

    def spoil(self, request: dict[str, Any], takes: tuple[set[str], set[str]]) -> None:
        """Make one thing wrong, and only one: names that are never given out would be another."""
        required, optional = takes
        names = sorted(name for name in required | optional if name in BAD)
        if not names:
            return
        name = self.chance.choice(names)
        if name in required and self.chance.random() < 0.2:
            request.pop(name, None)
        elif name in ("ids", "depends_on") and self.chance.random() < 0.5:
            request[name] = [1, self.chance.choice((*NO_IDS, None))]
        else:
            request[name] = self.chance.choice(BAD[name])
        if name != "depends_on":
            request.pop("depends_on", None)
        if name != "unique_key":
            request.pop("unique_key", None)


WEIGHTS = {
    "PUSH": 40, "PUSHB": 15, "PULL": 60, "PULLB": 35, "ACK": 35, "ACKB": 12, "FAIL": 60, "RELEASE": 25, "HEARTBEAT": 16,
    "CANCEL": 12, "PROGRESS": 10, "GETPROGRESS": 8, "GETRESULT": 8, "GETJOB": 4, "GETJOBS": 14, "WAITJOB": 8, "DLQ": 6,
    "RETRYDLQ": 18, "PURGEDLQ": 2, "DRAIN": 1, "OBLITERATE": 1, "PAUSE": 4, "RESUME": 25, "ISPAUSED": 3, "RATELIMIT": 8,
    "RATELIMITCLEAR": 8, "SETCONCURRENCY": 8, "CLEARCONCURRENCY": 8, "SETQUEUE": 12,
    "METRICS": 5, "PING": 1,
}  # fmt: skip
LIKES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("ACK", "ACKB", "FAIL", "RELEASE", "HEARTBEAT", "PROGRESS"), ("active",)),
    "GETPROGRESS": ("active", "completed"),
    "GETRESULT": ("completed",),
    "CANCEL": ("waiting", "delayed", "waitingparent", "active"),
    "RETRYDLQ": ("failed",),
}
VALUES: dict[str, Callable[[random.Random], Any]] = {
    "data": lambda chance: Raw(chance.choice(DATA)),
    "result": lambda chance: Raw(chance.choice(DATA)),
    "priority": lambda chance: chance.choice((0, 1, 1, 2, -1, -(2**31), 2**31 - 1)),
    "max_attempts": lambda chance: chance.choice((0, 1, 1, 2, 2, 3, 2**32, U64)),
    "max_backoff": lambda chance: chance.choice((0, 1, 150, 1000, HOUR, U64)),
    "unique_key": lambda chance: chance.choice(KEYS),
    "error": lambda chance: chance.choice(("no", "", 'é "\\\n')),
    "message": lambda chance: chance.choice(("half", "", 'é "\\\n')),
    "unrecoverable": lambda chance: chance.random() < 0.4,
    "progress": lambda chance: chance.choice((-3, 0, 1, 50, 99, 100, 101, U64, 10**30, -(10**30))),
    "lease": lambda chance: chance.choice((1, 10, 100, 1000, 1000, 60_000, 60_000, HOUR, HOUR, U64)),
    "count": lambda chance: chance.choice((0, 1, 1, 2, 3, 5, 100, 10_001, U64)),
    "max_length": lambda chance: chance.choice((0, 0, 0, 1, 2, 5, 20, 1000, U64)),
    "limit": lambda chance: chance.choice((1, 1, 2, 3, 7, 1000, U64)),
    "duration": lambda chance: chance.choice((1, 3, 10, 100, 1000, 7777, HOUR, U64)),
    "state": lambda chance: chance.choice(STATES),
    "dir": lambda chance: chance.choice(("asc", "desc")),
    "reason": lambda chance: chance.choice(REASONS),
    "preview": lambda chance: chance.choice((0, 0, 1, 4, 17, U64)),
}
