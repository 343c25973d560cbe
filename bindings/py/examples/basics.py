"""Push jobs, work on them, wait for their results. The daemon is at MQ_URL, or at localhost:6789."""

import threading

from magicqueue import FailedError, Job, JobContext, Queue, UnrecoverableError, Worker


def send(job: Job, context: JobContext) -> str:
    context.update_progress(50, "looking up the address")
    if "@" not in job.data["to"]:
        raise UnrecoverableError(f"no address: {job.data['to']}")
    return f"sent to {job.data['to']}"


worker = Worker("emails", send, concurrency=4)
working = threading.Thread(target=worker.start)
working.start()

with Queue("emails") as emails:
    print(emails.push_and_wait({"to": "ada@example.org"}))
    ids = emails.push_many([{"to": f"user{number}@example.org"} for number in range(100)], priority=1)
    print(len([emails.wait_job(job_id) for job_id in ids]), "sent")
    try:
        emails.push_and_wait({"to": "nobody"})
    except FailedError as error:
        print(str(error).splitlines()[-1])
    print(emails.purge_dlq(), "dead")

worker.stop()
working.join()
