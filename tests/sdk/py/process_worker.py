"""A worker of processes. Arguments: queue, port. What its handler does is said by the job."""

import os
import signal
import sys
import time
from typing import Any

from magicqueue import Job, Worker


def handler(job: Job, context: Any) -> int:
    what = job.data["do"]
    if what == "die once" and job.deliveries == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "wait for a file":
        context.update_progress(1, str(os.getpid()))
        while context.is_held and not os.path.exists(job.data["file"]):
            time.sleep(0.01)
    return os.getpid() if what == "tell your pid" else job.deliveries


if __name__ == "__main__":
    Worker(sys.argv[1], handler, "127.0.0.1", int(sys.argv[2]), concurrency=2, executor="processes").start()
    print("stopped", flush=True)
