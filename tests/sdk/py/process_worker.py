"""A worker of processes whose handler can kill its own. Arguments: queue, port."""

import os
import signal
import sys
from typing import Any

from magicqueue import Job, Worker


def handler(job: Job, _context: Any) -> int:
    if job.data.get("deadly"):
        if job.deliveries == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return job.deliveries
    return os.getpid()


if __name__ == "__main__":
    Worker(sys.argv[1], handler, "127.0.0.1", int(sys.argv[2]), concurrency=2, executor="processes").start()
