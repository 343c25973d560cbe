"""What is answered when something of the daemon itself goes wrong. The application runs without a server here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from falcon import testing

from mqfast.http.app import make_app
from mqfast.http.serve import CHANNEL
from mqfast.http.shapes import shape
from mqfast.http.waiting import Links, Slots
from mqfast.settings import Settings

FULL = b'{"ok":false,"error":"Storage full: no \\"code\\":\\"x\\"","code":"storage_full","retryable":true}'


class Here:
    """A client that stays. kept: what would be called if it went."""

    def __init__(self) -> None:
        self.kept: Callable[[], None] | None = None

    def hold(self, lost: Callable[[], None]) -> bool:
        self.kept = lost
        return True

    watch = hold

    def let_go(self) -> None:
        self.kept = None

    def give_up(self) -> None:
        if self.kept is not None:
            self.kept()


class Gone(Here):
    def hold(self, lost: Callable[[], None]) -> bool:
        return False

    watch = hold


class Engine:
    """Answers what a test says; asked keeps the lines."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[bytes] = []

    def execute(self, line: bytes, token: bytes | None = None, /) -> bytes:
        self.asked.append(line)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def no_link() -> int:
    raise OSError(24, "Too many open files")


class Nobody:
    """A guard that knows of no wrong tokens."""

    def must_wait_ms(self, peer: str) -> int:
        return 0

    def wrong_token(self, peer: str) -> None:
        raise AssertionError(peer)


def ask(engine: Engine, method: str, path: str, body: str = "", client: Here | None = None) -> testing.Result:
    app = make_app(
        engine.execute,
        lambda token, command: 0,
        Links(no_link),
        Slots(1),
        Settings(),
        connections=lambda: 0,
        is_open=lambda path: False,
        guard=Nobody(),
    )
    extras: dict[str, Any] = {"REQUEST_URI": path, CHANNEL: client or Here()}
    return testing.simulate_request(app, method, path, body=body, host="localhost", extras=extras)


def test_a_fault_is_a_500_without_its_details_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    result = ask(Engine(RuntimeError("secret")), "POST", "/queues/q/pause")
    assert (result.status_code, result.json["ok"], result.json["code"]) == (500, False, "unavailable")
    assert "secret" not in result.text and "secret" in caplog.text


def test_a_refusal_keeps_its_text_and_gets_the_status_of_its_code() -> None:
    result = ask(Engine(FULL), "POST", "/queues/q/jobs", '{"data":1}')
    assert (result.status_code, result.content) == (507, FULL)


@pytest.mark.parametrize(
    ("code", "status"), [("shutting_down", 503), ("unavailable", 503), ("rate_limited", 429), ("queue_full", 429)]
)
def test_what_may_be_tried_again_says_when(code: str, status: int) -> None:
    result = ask(Engine(b'{"ok":false,"error":"x","code":"%s","retryable":true}' % code.encode()), "GET", "/stats")
    assert result.status_code == status and int(result.headers["retry-after"]) >= 1


def test_a_push_whose_job_has_gone_already_answers_its_id() -> None:
    engine = Engine(b'{"ok":true,"id":1613}', b'{"ok":true,"job":null,"state":"unknown"}')
    result = ask(engine, "POST", "/queues/q/jobs", '{"data":1}')
    assert result.json == {"ok": True, "data": {"id": 1613, "state": "unknown"}}


def test_a_pull_that_cannot_wait_is_refused_and_its_place_is_free() -> None:
    engine = Engine(b'{"ok":true,"jobs":[]}', b'{"ok":true,"jobs":[]}')
    for _ in range(2):
        result = ask(engine, "GET", "/queues/q/jobs")
        assert (result.status_code, result.json["code"]) == (503, "unavailable")
        assert result.json["error"].endswith("Too many open files")


def test_jobs_for_a_client_that_has_gone_are_released_with_their_tokens_at_once() -> None:
    digits = b"9" * 5000  # more than Python's int takes
    job = b'{"id":1613,"data":[%s],"token":"t1"}' % digits
    engine = Engine(
        b'{"ok":true,"jobs":[%s,{"id":7,"data":"\\"id\\":8","token":"t2"}]}' % job, b'{"ok":true,"count":2}'
    )
    result = ask(engine, "GET", "/queues/q/jobs?count=2", client=Gone())
    assert result.json["data"] == []
    assert engine.asked[1] == b'{"cmd":"RELEASE","ids":[1613,7],"tokens":["t1","t2"]}'


def test_a_kind_of_result_that_is_new_is_its_only_member_or_all_of_them() -> None:
    data = shape("NEW").data
    assert data(b'{"ok":true,"counts":{"q":{"failed":1}}}') == b'{"q":{"failed":1}}'
    assert data(b'{"ok":true,"connections":[1],"cursor":null}') == b'{"connections":[1],"cursor":null}'
    assert shape("QUEUES").data(b'{"ok":true,"queues":[{"name":"]}"}],"total":1}').startswith(b'{"queues":')
