"""The plainest Falcon on waitress, for REST to be set against: ``python -m perf.comparison.hello [THREADS]``."""

import logging
import socket
import sys

import falcon
import waitress

TEXT = b'{"hello":"world"}'


class Hello:
    """Answers a fixed text to what REST calls a push."""

    def on_post(self, request: falcon.Request, response: falcon.Response, queue: str) -> None:
        response.data = TEXT
        response.content_type = falcon.MEDIA_JSON


def main(threads: int) -> None:
    app = falcon.App()
    app.add_route("/queues/{queue}/jobs", Hello())
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    print(f"hello listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    waitress.serve(app, sockets=[listener], threads=threads, _quiet=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
