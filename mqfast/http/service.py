"""HTTP as one part of the daemon: what it consists of, in what order it starts and stops."""

import socket
from collections.abc import Callable, Sequence

from mqfast._engine import Engine, Reactors
from mqfast.http import dashboard
from mqfast.http.app import make_app
from mqfast.http.hub import Hub
from mqfast.http.serve import HttpServer
from mqfast.http.source import Source
from mqfast.http.tls import load, make_context
from mqfast.http.waiting import Links, Slots
from mqfast.settings import HTTP_RESERVE, Settings


class Http:
    """Serves HTTP on sockets that listen already. start() and stop() once, on one thread.

    sockets: taken over. failed: is told why if a part of it dies.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        reactors: Reactors,
        sockets: Sequence[socket.socket],
        failed: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._tls = None
        if settings.tls_cert and settings.tls_key:
            self._tls = make_context(settings.tls_cert, settings.tls_key)
        slots = Slots(settings.http_threads - HTTP_RESERVE)
        self._links = Links(reactors.connect)
        self._hub: Hub | None = None
        app = make_app(
            engine.execute,
            engine.may,
            self._links,
            slots,
            settings,
            connections=lambda: reactors.connections,
            is_open=dashboard.is_open if settings.dashboard != "off" else lambda path: False,
            guard=reactors,
        )
        if settings.dashboard != "off":
            source = Source(
                engine.execute,
                connections=lambda: reactors.connections,
                fsync=settings.fsync if settings.persist else None,
                max_memory=settings.max_memory,
                result_ttl_ms=settings.result_ttl_ms,
                result_max=settings.result_max,
            )
            self._hub = Hub(source, streams=settings.dashboard_streams, mode=settings.dashboard, slots=slots)
            dashboard.mount(app, self._hub)
        self._server = HttpServer(
            app,
            sockets,
            threads=settings.http_threads,
            max_body=settings.http_max_body,
            max_header=settings.http_max_header,
            failed=failed,
            tls=self._tls,
        )

    def reload(self) -> None:
        """Show new connections the certificate as its files have it now. Raises OSError."""
        if self._tls is not None:
            assert self._settings.tls_cert and self._settings.tls_key
            load(self._tls, self._settings.tls_cert, self._settings.tls_key)

    def renew(self) -> None:
        """Other tokens count now: what was begun with one and still lasts ends, and may be asked for again."""
        self._links.renew()

    def start(self) -> None:
        self._server.start()
        if self._hub is not None:
            self._hub.start()

    def stop(self, seconds: float) -> bool:
        """End streams, answer pulls that wait, let requests in flight end for so long. The reactors must still run.

        False if a request is still worked on.
        """
        self._links.stop()
        if self._hub is not None:
            self._hub.stop()
        return self._server.stop(seconds)
