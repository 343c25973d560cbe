"""What every request passes, before and after it is worked on: its id, its right to be here, its answer's headers."""

import gzip
import itertools
import logging
import os
import re
import time
from collections.abc import Callable, Mapping

import falcon

from mqfast.http.auth import Sites, Tokens, check_body_type
from mqfast.http.errors import Refusal
from mqfast.http.routes import path_of
from mqfast.http.waiting import Links
from mqfast.logs import FIELDS

GZIP_BYTES = 4096  # a body of at least so many is packed for those who take it
_GZIP_LEVEL = 4
_TARGET_LOGGED = 2048  # bytes of it
_READ = frozenset({"GET", "HEAD"})
_PREFLIGHT_SECONDS = "600"
_ID = re.compile(r"[!-~]{1,128}")
_TAKES_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[0-9.]+\s*)?(?:,|$)", re.IGNORECASE)
_log = logging.getLogger("mqfast.http")


class Gate:
    """Falcon middleware. is_open: of a path, whether it is served without a token and to pages of other sites. reads:
    of paths that show what is of all queues, the command that a token must open for them."""

    def __init__(
        self,
        tokens: Tokens,
        sites: Sites,
        links: Links,
        is_open: Callable[[str], bool],
        reads: Mapping[str, str],
    ) -> None:
        self._reads = reads
        self._tokens = tokens
        self._sites = sites
        self._links = links
        self._is_open = is_open
        self._prefix = os.urandom(4).hex()
        self._numbers = itertools.count(1)

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        environ = request.env
        request_id = environ.get("HTTP_X_REQUEST_ID")
        if request_id is None or not _ID.fullmatch(request_id):
            request_id = f"{self._prefix}-{next(self._numbers):x}"
        response.set_header("X-Request-Id", request_id)
        if _log.isEnabledFor(logging.INFO):
            request.context.begun = time.perf_counter()
        target = environ["REQUEST_URI"]
        if "%" in target or not target.isascii():
            request.path = path_of(target)
        if self._links.stopping:
            raise Refusal("shutting_down")
        method = request.method
        if method in _READ and self._is_open(request.path):
            return
        self._sites.check(environ)
        if method == "OPTIONS":
            return
        # a token for some queues is judged by the engine, command by command; what is of all queues is judged here
        request.context.token = self._tokens.check(environ, self._reads.get(request.path, "PING"))
        if method not in _READ and environ.get("CONTENT_LENGTH", "0") != "0":
            check_body_type(environ)

    def process_response(
        self, request: falcon.Request, response: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        if response.get_header("Cache-Control") is None:
            response.set_header("Cache-Control", "no-store")
        if response.get_header("X-Content-Type-Options") is None:
            response.set_header("X-Content-Type-Options", "nosniff")
        origin = request.env.get("HTTP_ORIGIN")
        if origin is not None:
            self._add_cors(request, response, origin)
        if response.data is not None and len(response.data) >= GZIP_BYTES:
            _pack(request, response)
        if _log.isEnabledFor(logging.INFO):
            _log_request(request, response)

    def _add_cors(self, request: falcon.Request, response: falcon.Response, origin: str) -> None:
        response.append_header("Vary", "Origin")
        if not self._sites.cors(origin):
            return
        response.set_header("Access-Control-Allow-Origin", origin)
        response.set_header("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, WWW-Authenticate, Allow")
        if request.method == "OPTIONS" and request.get_header("Access-Control-Request-Method"):
            response.set_header("Access-Control-Allow-Methods", response.get_header("Allow") or "")
            response.set_header("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Id")
            response.set_header("Access-Control-Max-Age", _PREFLIGHT_SECONDS)


def _log_request(request: falcon.Request, response: falcon.Response) -> None:
    ms = (time.perf_counter() - request.context.begun) * 1000
    fields = {
        "id": response.get_header("X-Request-Id"),
        "method": request.method,
        "target": request.env["REQUEST_URI"][:_TARGET_LOGGED],
        "status": falcon.http_status_to_code(response.status),
        "ms": round(ms, 1),
        "peer": request.remote_addr,
    }
    _log.info("http", extra={FIELDS: fields})


def _pack(request: falcon.Request, response: falcon.Response) -> None:
    if response.get_header("Content-Encoding") is not None:
        return
    response.append_header("Vary", "Accept-Encoding")
    if _TAKES_GZIP.search(request.env.get("HTTP_ACCEPT_ENCODING", "")):
        assert response.data is not None
        response.data = gzip.compress(response.data, _GZIP_LEVEL)
        response.set_header("Content-Encoding", "gzip")
