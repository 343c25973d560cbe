"""A program as it was written for the older MagicQueue package: it runs unchanged. Usage: older_program.py PORT"""

import sys
import threading

from magicqueue import MagicQueueClient, Queue, Worker

port = int(sys.argv[1])
queue = Queue("reports", "localhost", port)
queue.connect()

first = queue.push({"n": 1}, 5, 0, 60000, 3, 1000, "report-1", [])
rest = queue.push_batch([{"data": {"n": 2}}, {"data": {"n": 3}, "priority": 9, "max_attempts": 2}])
more = queue.push_many([{"n": 4}, {"n": 5}], 1)
print("queued", queue.stats().queued >= 5)

done = threading.Event()
seen = []


def handler(job, ctx):
    ctx.update_progress(50, "half")
    seen.append(job.data["n"])
    if len(seen) == 5:
        done.set()
    return {"n": job.data["n"]}


worker = Worker("reports", handler, "localhost", port, None, 1, 10)
thread = threading.Thread(target=worker.start)
thread.start()
done.wait(30)
worker.stop()
thread.join()
print("order", seen)
print("progress", queue.get_progress(first)["message"])

queue.set_rate_limit(100)
queue.clear_rate_limit()
queue.add_cron("nightly", "0 3 * * *", {"n": 6}, 2)
print("crons", [(cron.name, cron.schedule, cron.priority) for cron in queue.list_crons()])
queue.delete_cron("nightly")
cancelled = queue.push({"n": 7}, delay=60000)
queue.cancel(cancelled)
print("dead", queue.get_dlq(10), queue.retry_dlq())
print("known", "reports" in [row.name for row in queue.metrics().queues])
queue.close()

client = MagicQueueClient("localhost", port)
client.connect()
print("pong", client.send({"cmd": "PING"})["pong"], client.is_connected())
client.close()
