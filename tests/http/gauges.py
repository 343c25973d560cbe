"""What the daemon says of itself, for tests that wait until it is so."""

from __future__ import annotations

import re

from tests.http.client import HttpClient
from tests.tcp.waiting import eventually


def gauge(web: HttpClient, name: str) -> int:
    """A metric without labels."""
    text = web.get("/metrics/prometheus").body.decode()
    (value,) = re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)
    return int(float(value))


def waiting(web: HttpClient) -> int:
    """How many pulls and streams wait."""
    return gauge(web, "mqfast_http_waiting_requests")


def until_waiting(web: HttpClient, count: int) -> None:
    eventually(lambda: waiting(web), lambda now: now == count)
