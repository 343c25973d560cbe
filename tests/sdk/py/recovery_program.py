"""A worker and a pusher that go on whatever becomes of the daemon. Argument: its port.

For each line that it reads it does 100 jobs more and says ``more``; at the end of its input it stops and says ``fine``
if no accepted job was lost. Runs under every Python.
"""

from __future__ import annotations

import sys
import threading

from magicqueue import Queue, Worker
from tests.sdk.py.ledger import WAIT_S, Ledger, quiet


def main() -> None:
    place = ("127.0.0.1", int(sys.argv[1]))
    ledger, over = Ledger(), threading.Event()
    queue = Queue("q", *place)
    worker = Worker("q", ledger.handle, *place, concurrency=2, on_lost=quiet, on_error=quiet)
    working = threading.Thread(target=worker.start)
    pushing = threading.Thread(target=ledger.push_until, args=(queue.push, over, "p"))
    working.start()
    pushing.start()
    for _line in sys.stdin:
        ledger.wait_for_more(100)
        print("more", flush=True)
    over.set()
    pushing.join(WAIT_S)
    ledger.check()
    worker.stop()
    working.join(WAIT_S)
    queue.close()
    print("fine", flush=True)


if __name__ == "__main__":
    main()
