"""Sends what it reads, a JSON object a line, through ``MagicQueueClient.send``, and writes the answers.

``{"connect": PORT}`` makes a new client. Argument: threads or asyncio. Runs under every Python.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from magicqueue import Backoff, ConnectionOptions, MagicQueueClient, RefusedError, aio

NO_RETRY = ConnectionOptions(retry=Backoff(attempts=0))


class LoopClient:
    """The asyncio client, called from outside its loop."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = aio.MagicQueueClient("127.0.0.1", port, connection=NO_RETRY)

    def connect(self) -> None:
        self._loop.run_until_complete(self._client.connect())

    def send(self, request: Any) -> dict[str, Any]:
        return self._loop.run_until_complete(self._client.send(request))

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


def threaded(port: int) -> MagicQueueClient:
    return MagicQueueClient("127.0.0.1", port, connection=NO_RETRY)


FLAVOURS: dict[str, Callable[[int], Any]] = {"threads": threaded, "asyncio": LoopClient}


def exchange(client: Any, request: Any) -> dict[str, Any]:
    """The answer, or the refusal as it came."""
    try:
        answer: dict[str, Any] = client.send(request)
    except RefusedError as error:
        return error.answer
    return answer


def main() -> None:
    client = None
    for line in sys.stdin:
        request = json.loads(line)
        if "connect" in request:
            if client is not None:
                client.close()
            client = FLAVOURS[sys.argv[1]](request["connect"])
            client.connect()
            answer: dict[str, Any] = {}
        else:
            answer = exchange(client, request)
        print(json.dumps(answer), flush=True)
    if client is not None:
        client.close()


if __name__ == "__main__":
    main()
