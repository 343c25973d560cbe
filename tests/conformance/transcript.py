"""Read transcripts and match answers against what they expect. The format is described in README.md beside this file.

Nothing here knows how a line is carried: a runner passes a function from request to answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
REST_OF_OBJECT = "..."
"""The key that allows an object to have more members than are named."""

TYPES: dict[str, Callable[[object], bool]] = {
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "list": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


@dataclass(frozen=True)
class Step:
    """One request and the answer it must get."""

    line_number: int
    send: object
    expect: object


@dataclass(frozen=True)
class Scenario:
    """Steps that share one fresh connection and one fresh queue name."""

    file: str
    name: str
    settings: dict[str, object]
    steps: tuple[Step, ...]

    @property
    def title(self) -> str:
        return f"{self.file}: {self.name}"


class Mismatch(AssertionError):
    """An answer is not what the transcript expects."""


def load(path: Path) -> list[Scenario]:
    """The scenarios of one file."""
    scenarios: list[Scenario] = []
    steps: list[Step] = []
    for number, text in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not text.strip():
            continue
        row = json.loads(text)
        if "scenario" in row:
            if set(row) - {"scenario", "settings"}:
                raise ValueError(f"{path.name}:{number}: unknown members in {row}")
            steps = []
            scenarios.append(Scenario(path.name, row["scenario"], row.get("settings", {}), ()))
        elif set(row) != {"send", "expect"} or not scenarios:
            raise ValueError(f"{path.name}:{number}: neither a scenario nor a step of one")
        else:
            steps.append(Step(number, row["send"], row["expect"]))
            last = scenarios[-1]
            scenarios[-1] = Scenario(last.file, last.name, last.settings, tuple(steps))
    return scenarios


def load_all(folder: Path = FOLDER) -> list[Scenario]:
    return [scenario for path in sorted(folder.glob("*.jsonl")) for scenario in load(path)]


@dataclass
class Player:
    """Plays one scenario. `queue` stands for `$queue`; what steps save is kept in `saved`."""

    queue: str
    saved: dict[str, object] = field(default_factory=dict)

    def play(self, scenario: Scenario, exchange: Callable[[object], object]) -> None:
        """Send each step by `exchange`, which gets an object or a raw line, and match what it returns."""
        for step in scenario.steps:
            request = self.fill(step.send)
            answer = exchange(request)
            try:
                self.match(step.expect, answer)
            except Mismatch as problem:
                raise Mismatch(
                    f"{scenario.file}:{step.line_number} ({scenario.name})\n"
                    f"  sent     {str(request)[:500]}\n  expected {step.expect}\n"
                    f"  answer   {str(answer)[:1000]}\n  {problem}"
                ) from None

    # Requests

    def fill(self, value: object) -> Any:
        """The value with names filled in: `$queue`, `${saved}`, {"$ref": name}, {"$repeat": {...}}."""
        if isinstance(value, str):
            return self._fill_text(value)
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, dict):
            if set(value) == {"$ref"}:
                return self.saved[value["$ref"]]
            if set(value) == {"$repeat"}:
                return self.fill(value["$repeat"]["text"]) * value["$repeat"]["times"]
            return {self._fill_text(name): self.fill(member) for name, member in value.items()}
        return value

    def _fill_text(self, text: str) -> str:
        text = text.replace("$queue", self.queue)
        return re.sub(r"\$\{(\w+)\}", lambda name: str(self.saved[name[1]]), text)

    # Answers

    def match(self, expected: object, value: object, where: str = "answer") -> None:
        """Raise Mismatch unless the value is as expected."""
        if isinstance(expected, dict) and any(name.startswith("$") for name in expected):
            if "$refused" in expected:
                self._match_refusal(expected, value, where)
                return
            for name, argument in expected.items():
                if name not in MATCHERS:
                    raise ValueError(f"unknown matcher {name}")
                MATCHERS[name](self, argument, value, where)
        elif isinstance(expected, dict):
            self._match_object(expected, value, where)
        elif isinstance(expected, list):
            if not isinstance(value, list) or len(value) != len(expected):
                raise Mismatch(f"{where}: expected a list of {len(expected)}, got {value!r}")
            for index, item in enumerate(expected):
                self.match(item, value[index], f"{where}[{index}]")
        else:
            plain = self.fill(expected)
            if type(plain) is not type(value) or plain != value:
                raise Mismatch(f"{where}: expected {plain!r}, got {value!r}")

    def _match_object(self, expected: dict[str, object], value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise Mismatch(f"{where}: expected an object, got {value!r}")
        named = {self._fill_text(name): member for name, member in expected.items() if name != REST_OF_OBJECT}
        for name, member in named.items():
            if name not in value:
                raise Mismatch(f"{where}: no member {name}")
            self.match(member, value[name], f"{where}.{name}")
        if REST_OF_OBJECT not in expected and (more := set(value) - set(named)):
            raise Mismatch(f"{where}: unexpected members {sorted(more)}")

    def _match_refusal(self, expected: dict[str, object], value: object, where: str) -> None:
        shape: dict[str, object] = {
            "ok": False,
            "code": expected["$refused"],
            "error": {"$match": "^Invalid: ."} if expected["$refused"] == "invalid" else {"$type": "str"},
            "retryable": {"$type": "bool"},
        }
        self._match_object(shape | {name: m for name, m in expected.items() if name != "$refused"}, value, where)


def _any(player: Player, argument: Any, value: object, where: str) -> None:
    del player, argument, value, where


def _type(player: Player, argument: Any, value: object, where: str) -> None:
    del player
    if not TYPES[argument](value):
        raise Mismatch(f"{where}: expected {argument}, got {value!r}")


def _save(player: Player, argument: Any, value: object, where: str) -> None:
    player.saved[argument] = value


def _ref(player: Player, argument: Any, value: object, where: str) -> None:
    if value != player.saved[argument]:
        raise Mismatch(f"{where}: expected {argument} = {player.saved[argument]!r}, got {value!r}")


def _match_text(player: Player, argument: Any, value: object, where: str) -> None:
    pattern = player.fill(argument)
    if not isinstance(value, str) or re.search(pattern, value) is None:
        raise Mismatch(f"{where}: expected text like {pattern!r}, got {value!r}")


def _in(player: Player, argument: Any, value: object, where: str) -> None:
    for choice in argument:
        try:
            player.match(choice, value, where)
            return
        except Mismatch:
            continue
    raise Mismatch(f"{where}: expected one of {argument!r}, got {value!r}")


def _not(player: Player, argument: Any, value: object, where: str) -> None:
    try:
        player.match(argument, value, where)
    except Mismatch:
        return
    raise Mismatch(f"{where}: expected anything but {argument!r}, got {value!r}")


def _range(player: Player, argument: Any, value: object, where: str) -> None:
    low, high = player.fill(argument)
    if not TYPES["number"](value) or not low <= value <= high:
        raise Mismatch(f"{where}: expected a number from {low} to {high}, got {value!r}")


def _length(player: Player, argument: Any, value: object, where: str) -> None:
    if not isinstance(value, list | str | dict) or len(value) != argument:
        raise Mismatch(f"{where}: expected length {argument}, got {str(value)[:200]}")


def _once(player: Player, argument: Any, value: object, where: str) -> None:
    if not isinstance(value, list):
        raise Mismatch(f"{where}: expected a list, got {value!r}")
    found = [item for item in value if _fits(player, argument, item)]
    if len(found) != 1:
        raise Mismatch(f"{where}: expected exactly one item like {argument!r}, found {len(found)}")


def _never(player: Player, argument: Any, value: object, where: str) -> None:
    if not isinstance(value, list) or any(_fits(player, argument, item) for item in value):
        raise Mismatch(f"{where}: expected a list without an item like {argument!r}")


def _fits(player: Player, expected: object, value: object) -> bool:
    try:
        player.match(expected, value)
    except Mismatch:
        return False
    return True


MATCHERS: dict[str, Callable[[Player, Any, object, str], None]] = {
    "$any": _any,
    "$type": _type,
    "$save": _save,
    "$ref": _ref,
    "$match": _match_text,
    "$in": _in,
    "$not": _not,
    "$range": _range,
    "$length": _length,
    "$once": _once,
    "$never": _never,
}
