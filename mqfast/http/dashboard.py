"""The dashboard over HTTP: the page's shell and files, and its live data. Adds its routes to a falcon app.

The files are built from mqfast/http/ui into mqfast/http/static. Their names carry a hash of their content, so they may
be kept for ever; the shell is never kept. Nothing comes from another host, and the policy below sees to it.
"""

import json
import mimetypes
from collections.abc import Mapping
from pathlib import Path

import falcon

from mqfast.http import history, views
from mqfast.http.hub import Hub, StreamsFull
from mqfast.http.serve import CHANNEL

PATHS = ("/dashboard/snapshot", "/dashboard/stream", "/dashboard/history")
"""Of its data."""

STATIC = Path(__file__).with_name("static")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NOT_BUILT = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>mqfast</title><h1>mqfast</h1>"
    "<p>The dashboard is not built in this checkout. <code>make run</code> builds it; "
    "REST works without it.</p></html>"
)
RETRY_SECONDS = 30


def is_open(path: str) -> bool:
    """Whether a path is served without a token: the shell and its files hold no data."""
    return path == "/" or path.startswith("/static/")


def mount(app: "falcon.App[falcon.Request, falcon.Response]", hub: Hub, static: Path = STATIC) -> None:
    """Add the page, its files and its data to the app."""
    files = _Files(static)
    app.add_route("/", files, suffix="shell")
    app.add_route("/static/{name}", files)
    for path, resource in zip(PATHS, (_Snapshot(hub), _Streams(hub), _History(hub)), strict=True):
        app.add_route(path, resource)


class _Files:
    """What was built, read once. A .gz file beside another is what is sent to those who take gzip."""

    def __init__(self, folder: Path) -> None:
        self._bodies = {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()}

    def on_get_shell(self, request: falcon.Request, response: falcon.Response) -> None:
        response.set_headers({**HEADERS, "Cache-Control": "no-store"})
        response.content_type = "text/html; charset=utf-8"
        shell = self._bodies.get("index.html")
        if shell is None:
            response.text = NOT_BUILT
        else:
            response.data = shell

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        body = self._bodies.get(name)
        if body is None or name == "index.html" or name.endswith(".gz"):
            raise falcon.HTTPNotFound(description="no such file")
        packed = self._bodies.get(name + ".gz")
        response.set_headers({**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"})
        if packed is not None:
            response.append_header("Vary", "Accept-Encoding")
            if "gzip" in (request.get_header("Accept-Encoding") or ""):
                response.set_header("Content-Encoding", "gzip")
                body = packed
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        response.content_type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
        response.data = body


def _query(request: falcon.Request) -> dict[str, str]:
    """The query's parameters; of a repeated one the last."""
    return {key: value[-1] if isinstance(value, list) else str(value) for key, value in request.params.items()}


def _view(request: falcon.Request) -> views.View:
    try:
        return views.parse(_query(request))
    except ValueError as error:
        raise falcon.HTTPBadRequest(description=str(error)) from None


class _Snapshot:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """One message for a view: {"v", "t", "counts", "rates", "problems", "view"…}."""
        view = _view(request)
        try:
            response.data = self._hub.message(view)
        except ValueError as error:
            raise falcon.HTTPBadRequest(description=str(error)) from None
        response.content_type = falcon.MEDIA_JSON
        response.set_header("Cache-Control", "no-store")


class _Streams:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """The same message each second, as server-sent events."""
        view = _view(request)
        try:
            stream = self._hub.stream(view)
        except ValueError as error:
            raise falcon.HTTPBadRequest(description=str(error)) from None
        except StreamsFull:
            raise falcon.HTTPServiceUnavailable(
                description=f"all {self._hub.streams} streams are taken; ask for snapshots", retry_after=RETRY_SECONDS
            ) from None
        channel = request.env.get(CHANNEL)
        if channel is not None and not channel.watch(stream.close):  # at once when the viewer goes, not a message later
            stream.close()
        response.content_type = "text/event-stream"
        response.set_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.stream = stream


class _History:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Samples of a window, of the whole daemon or of a queue: {"step", "t": [ms], column: [value]}."""
        response.data = _history(self._hub, _query(request))
        response.content_type = falcon.MEDIA_JSON
        response.set_header("Cache-Control", "no-store")


def _history(hub: Hub, query: Mapping[str, str]) -> bytes:
    window, since = query.get("window", "15m"), query.get("since", "0")
    if not history.is_window(window):
        raise falcon.HTTPBadRequest(description=f"window must be one of {', '.join(history.WINDOWS)}")
    if not (since.isascii() and since.isdigit() and len(since) <= 16):
        raise falcon.HTTPBadRequest(description="since must be a time in milliseconds")
    now_ms = hub.now_ms()
    queue = query.get("queue")
    samples = hub.history.queue(queue, now_ms, int(since)) if queue else hub.history.window(window, now_ms, int(since))
    return json.dumps({"v": 1, "now": now_ms, **samples}, separators=(",", ":")).encode()
