"""A proxy to the daemon that cuts its connections at any byte, until it is told to be calm."""

from __future__ import annotations

import random
import socket
import threading


class CuttingProxy:
    """Listens on a port of its own. Each connection is cut after so many bytes, evenly up to ``most_bytes``."""

    def __init__(self, target: tuple[str, int], most_bytes: int = 8_000) -> None:
        self._target = target
        self._most_bytes = most_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cuts = threading.Semaphore(0)
        self._is_calm = False
        threading.Thread(target=self._accept, daemon=True).start()

    def wait_for_cuts(self, count: int, timeout_s: float) -> None:
        """Wait until so many more connections were cut."""
        for _ in range(count):
            assert self.cuts.acquire(timeout=timeout_s)

    def calm(self) -> None:
        """Cut no more."""
        self._is_calm = True

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listener.accept()
            except OSError:
                return
            theirs = socket.create_connection(self._target)
            left = [random.randrange(self._most_bytes)]
            for source, sink in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._pump, args=(source, sink, left), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, left: list[int]) -> None:
        """left: bytes of both directions until the cut."""
        try:
            while True:
                data = source.recv(4096)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                left[0] -= len(data)
                is_cut = left[0] < 0 and not self._is_calm
                sink.sendall(data[: len(data) // 2] if is_cut else data)
                if is_cut:
                    self.cuts.release()
                    break
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
