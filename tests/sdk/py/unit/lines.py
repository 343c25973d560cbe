"""A core that is connected to nothing: its lines are read and written by the test."""

from __future__ import annotations

import json
from typing import Any

from magicqueue import ConnectionOptions
from magicqueue._core import Core, encode_json


def open_core(**options: Any) -> Core:
    core = Core("here", ConnectionOptions(**options))
    core.start()
    core.opened(0.0)
    return core


def sent(core: Core) -> list[dict[str, Any]]:
    return [json.loads(line) for line in core.take_output().splitlines()]


def put(core: Core, now: float = 0.0, **row: Any) -> None:
    core.receive(encode_json(row).encode() + b"\n", now)
