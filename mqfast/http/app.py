"""The WSGI application: routes of the command table, and the few that no command stands behind."""

from collections.abc import Callable

import falcon

from mqfast.commands import COMMANDS
from mqfast.http import dashboard, errors, events, openapi, prometheus
from mqfast.http.auth import Guard, Sites, Tokens
from mqfast.http.gate import Gate
from mqfast.http.routes import NOT_SAFE, Endpoint, routes
from mqfast.http.waiting import Execute, Links, Pulls, Slots
from mqfast.settings import Settings

App = falcon.App[falcon.Request, falcon.Response]
Responder = Callable[..., None]
HEALTH = "/health"
METRICS = "/metrics"


class Resource:
    """A path: a responder for each of its methods."""

    def __init__(self, **methods: Responder) -> None:
        for method, responder in methods.items():
            setattr(self, f"on_{method.lower()}", responder)


_READS = dict.fromkeys((METRICS, prometheus.PATH, *dashboard.PATHS), "METRICS")


class Health:
    """Says that the daemon serves: no token, no state, outside the shape of other answers."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.data = b'{"ok":true}'
        response.content_type = falcon.MEDIA_JSON

    on_head = on_get


def make_app(
    execute: Execute,
    may: Callable[[bytes, str], int],
    links: Links,
    slots: Slots,
    settings: Settings,
    *,
    connections: Callable[[], int],
    is_open: Callable[[str], bool],
    guard: Guard,
) -> App:
    """The application. execute, may: the engine's. connections: how many there are. is_open: of further paths, whether
    they need no token. guard: knows who has tried wrong tokens."""
    needed = bool(settings.auth_tokens or settings.tokens_file)
    tokens = Tokens(may, needed, guard)
    names = None if tokens else (*settings.http_names, *settings.http_hosts)
    sites = Sites(settings.cors_origin, names)
    gate = Gate(tokens, sites, links, lambda path: path == HEALTH or is_open(path), _READS)
    app: App = falcon.App(middleware=[gate])
    errors.add_handlers(app)
    paths = _by_path(execute, Pulls(execute, links, slots, settings.max_line), settings.lease_ms)
    process = prometheus.Process(connections, lambda: slots.used, settings.max_memory)
    text = prometheus.Prometheus(prometheus.EngineCollector(execute, process, settings.metrics_queues))
    _offer_text(paths[METRICS], text)
    for path, methods in paths.items():
        app.add_route(path, Resource(**methods))
    app.add_route(prometheus.PATH, text)
    app.add_route(events.PATH, events.Events(execute, links, slots))
    app.add_route(openapi.PATH, openapi.OpenApi(routes(), COMMANDS))
    app.add_route(HEALTH, Health())
    return app


def _offer_text(methods: dict[str, Responder], text: prometheus.Prometheus) -> None:
    """Have the metrics as text given to those who prefer it."""
    as_json = methods["GET"]

    def responder(request: falcon.Request, response: falcon.Response) -> None:
        response.append_header("Vary", "Accept")
        if prometheus.wants_text(request.env.get("HTTP_ACCEPT", "")):
            text.on_get(request, response)
        else:
            as_json(request, response)

    methods.update(GET=responder, HEAD=responder)


def _by_path(execute: Execute, pulls: Pulls, lease_ms: int) -> dict[str, dict[str, Responder]]:
    paths: dict[str, dict[str, Responder]] = {}
    for route in routes():
        endpoint = Endpoint(route, execute, pulls, lease_ms)
        methods = paths.setdefault(route.path, {})
        methods[route.method] = endpoint
        if route.method == "GET" and route.command.name not in NOT_SAFE:
            methods["HEAD"] = endpoint
    return paths
