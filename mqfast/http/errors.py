"""Refusals over HTTP: one shape for all of them, statuses from the error table."""

import json
import logging
from collections.abc import Mapping

import falcon

from mqfast.commands import ERRORS
from mqfast.http.serve import CHANNEL

STATUSES: dict[str, int] = {error.code: error.http_status for error in ERRORS}
TEXTS: dict[str, str] = {error.code: error.text for error in ERRORS}
RETRYABLE: frozenset[str] = frozenset(error.code for error in ERRORS if error.retryable)
RETRY_SECONDS = 1  # what Retry-After says
_CODES = {404: "not_found", 413: "payload_too_large", 429: "rate_limited", 503: "unavailable", 405: "not_supported"}
_log = logging.getLogger("mqfast.http")


class Refusal(Exception):
    """An answer with ``"ok":false``. status: where it is not the one of the code; headers: to go with it."""

    def __init__(
        self, code: str, text: str | None = None, *, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.text = TEXTS[code] if text is None else text
        super().__init__(self.text)
        self.code = code
        self.status = STATUSES[code] if status is None else status
        self.headers = dict(headers or {})


def invalid(why: str, status: int | None = None) -> Refusal:
    """What the client has got wrong."""
    return Refusal("invalid", f"Invalid: {why}", status=status)


def refuse(response: falcon.Response, answer: bytes, code: str, status: int | None = None) -> None:
    """Answer with a refusal that is written out already."""
    response.status = STATUSES[code] if status is None else status
    response.content_type = falcon.MEDIA_JSON
    response.data = answer
    if response.status in (429, 503) and code in RETRYABLE and response.get_header("Retry-After") is None:
        response.set_header("Retry-After", str(RETRY_SECONDS))


def _write(response: falcon.Response, refusal: Refusal) -> None:
    answer = {"ok": False, "error": refusal.text, "code": refusal.code, "retryable": refusal.code in RETRYABLE}
    response.set_headers(refusal.headers)
    refuse(response, json.dumps(answer, separators=(",", ":")).encode(), refusal.code, refusal.status)


def _refused(request: falcon.Request, response: falcon.Response, error: Refusal, params: object) -> None:
    _write(response, error)


def _http_error(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, params: object) -> None:
    """What Falcon or the dashboard refuse."""
    status = error.status_code
    headers = dict(error.headers or {})
    if status == 404:
        text = error.description or "there is no such path"
    elif status == 405:
        text = f"{request.method} is not possible here, only {headers.get('Allow', 'other methods')}"
    else:
        text = error.description or error.title or "the request cannot be served"
    code = _CODES.get(status, "invalid")
    prefix = "Invalid: " if code == "invalid" else ""
    _write(response, Refusal(code, prefix + text, status=status, headers=headers))


def _failed(request: falcon.Request, response: falcon.Response, error: Exception, params: object) -> None:
    _log.exception("%s %s failed", request.method, request.env.get("REQUEST_URI"))
    channel = request.env.get(CHANNEL)
    if channel is not None:
        channel.give_up()  # what this was to be the answer to is not answered
    _write(response, Refusal("unavailable", "the server has failed here; its log says how", status=500))


def add_handlers(app: "falcon.App[falcon.Request, falcon.Response]") -> None:
    """Have the app answer every failure in the shape of refusals."""
    app.add_error_handler(Exception, _failed)
    app.add_error_handler(falcon.HTTPError, _http_error)
    app.add_error_handler(Refusal, _refused)
