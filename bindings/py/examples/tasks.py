"""Functions as jobs, as in Celery or RQ. The daemon is at MQ_URL, or at localhost:6789.

``python tasks.py worker`` works in two processes until it gets SIGTERM; ``python tasks.py`` enqueues.
"""

import sys

from magicqueue import Queue

queue = Queue("sums")


@queue.task(max_attempts=3, backoff=1000)
def add(a: int, b: int) -> int:
    return a + b


if __name__ == "__main__":
    if "worker" in sys.argv:
        queue.worker(concurrency=2, executor="processes").start()
    else:
        handles = [add.delay(number, b=1) for number in range(10)]
        print(sum(handle.wait() for handle in handles))
        queue.close()
