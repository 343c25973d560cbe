"""What the daemon in memory does for each command."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._commands import COMMANDS
from .._core import encode_json
from ._checking import Refusal, check_item, check_request
from ._job import FakeJob
from ._memory import Waiter

if TYPE_CHECKING:
    from ._memory import MemoryDaemon, Peer

Members = dict[str, Any]

EVENTS = frozenset(
    "pushed active completed failed retrying timeout expired cancelled progress stalled".split()  # noqa: SIM905
)
STATES = ("waiting", "delayed", "waitingparent", "active", "completed", "failed")
REASONS = ("failed", "timeout", "worker_lost", "expired_lease", "dependency_failed")
PENDING = ("waiting", "delayed", "waitingparent")


@dataclass(frozen=True)
class Call:
    """A checked request, and what it can be answered with."""

    server: MemoryDaemon
    peer: Peer
    fields: Members
    answer: Callable[[Members], None]
    refuse: Callable[[Refusal], None]

    @property
    def queue(self) -> str:
        queue: str = self.fields["queue"]
        return queue


def execute(
    server: MemoryDaemon,
    peer: Peer,
    request: Members,
    answer: Callable[[Members], None],
    refuse: Callable[[Refusal], None],
) -> None:
    """Carry out one request. Raises Refusal, or calls one of the two functions, now or later."""
    name = request.get("cmd")
    if not isinstance(name, str):
        raise Refusal("invalid", "Invalid: cmd is required")
    name = name.upper()
    if name not in COMMANDS:
        raise Refusal("unknown_command", f"Unknown command {name}")
    fields = check_request(name, request)
    reply = REPLIES.get(name)
    if reply is None:
        # Refused, so that a test does not take it for granted.
        raise Refusal("not_supported", "Not supported by the daemon in memory")
    members = reply(Call(server, peer, fields, answer, refuse))
    if members is not None:
        answer(members)


# Pushing and pulling


def _push(call: Call) -> Members:
    return {"id": call.server.push(call.queue, call.fields)}


def _push_batch(call: Call) -> Members:
    ids: list[int] = []
    errors: list[Members] = []
    for index, item in enumerate(call.fields["jobs"]):
        try:
            ids.append(call.server.push(call.queue, check_item(item)))
        except Refusal as error:
            ids.append(0)
            errors.append({"index": index, "error": str(error), "code": error.code})
    return {"ids": ids, "errors": errors} if errors else {"ids": ids}


def _pull(call: Call, count: int, shape: Callable[[list[Members]], Members]) -> None:
    server, peer = call.server, call.peer
    lease = call.fields.get("lease")

    def poll(is_over: bool) -> bool:
        jobs: list[Members] = []
        while len(jobs) < count:
            job = server.pull(call.queue, peer, lease)
            if job is None:
                break
            jobs.append(job.to_wire())
        if not jobs and not is_over and count > 0:
            return False
        call.answer(shape(jobs))
        return True

    server.park(Waiter(poll, server.now + call.fields.get("timeout", math.inf), peer))


def _pull_one(call: Call) -> None:
    _pull(call, 1, lambda jobs: {"job": jobs[0] if jobs else None})


def _pull_many(call: Call) -> None:
    _pull(call, call.fields["count"], lambda jobs: {"jobs": jobs})


# Held jobs


def _ack(call: Call) -> Members:
    call.server.complete(_held(call), call.fields.get("result"))
    return {}


def _ack_batch(call: Call) -> Members:
    results = call.fields.get("results", [])

    def complete(job: FakeJob, index: int) -> None:
        call.server.complete(job, results[index] if index < len(results) else None)

    count = _each_held(call, complete)
    return {"ids": [count], "count": count}


def _fail(call: Call) -> Members:
    call.server.fail(_held(call), call.fields.get("error"), "failed", call.fields.get("unrecoverable", False))
    return {}


def _release(call: Call) -> Members:
    delay = call.fields.get("delay", 0)
    if "id" in call.fields:
        call.server.put_back(_held(call), delay)
        return {"count": 1}
    if "ids" not in call.fields:
        raise Refusal("invalid", "Invalid: either id or ids is required")
    return {"count": _each_held(call, lambda job, _index: call.server.put_back(job, delay))}


def _heartbeat(call: Call) -> Members:
    call.server.touch(_held(call), call.fields.get("lease"))
    return {}


def _progress(call: Call) -> Members:
    job = _held(call)
    job.row["progress"] = min(100, max(0, call.fields["progress"]))
    job.row["progress_msg"] = call.fields.get("message")
    call.server.tell(job, "progress")
    return {}


# Single jobs


def _get_progress(call: Call) -> Members:
    job = _known(call)
    if job.hold is None and job.state != "completed":
        raise Refusal("not_found", f"Job {job.id} not found in processing")
    return {"progress": {"id": job.id, "progress": job.row["progress"], "message": job.row["progress_msg"]}}


def _get_result(call: Call) -> Members:
    job = call.server.jobs.get(call.fields["id"])
    return {"id": call.fields["id"], "result": None if job is None else job.result}


def _get_job(call: Call) -> Members:
    job = call.server.jobs.get(call.fields["id"])
    return {"job": None, "state": "unknown"} if job is None else {"job": call.server.to_wire(job), "state": job.state}


def _wait_job(call: Call) -> None:
    server, id_ = call.server, call.fields["id"]

    def poll(is_over: bool) -> bool:
        job = server.jobs.get(id_)
        if job is None:
            call.refuse(Refusal("not_found", f"Job {id_} not found"))
        elif job.state == "completed":
            call.answer({"result": job.result, "state": "completed"})
        elif job.state == "failed":
            call.refuse(Refusal("failed", job.row["last_error"] or "Job failed"))
        elif is_over:
            call.refuse(Refusal("timeout", f"Timeout waiting for job {id_}"))
        else:
            return False
        return True

    server.park(Waiter(poll, server.now + call.fields.get("timeout", 30_000), call.peer))


def _get_jobs(call: Call) -> Members:
    fields, server = call.fields, call.server
    _among("state", fields["state"], STATES)
    _among("dir", fields.get("dir", "asc"), ("asc", "desc"))
    _among("reason", fields.get("reason", REASONS[0]), REASONS)
    if "reason" in fields and fields["state"] != "failed":
        raise Refusal("invalid", "Invalid: reason is for the state failed")
    jobs = sorted(server.jobs_of(call.queue, fields["state"]), key=lambda job: job.id)
    if fields.get("dir") == "desc":
        jobs.reverse()
    jobs = [job for job in jobs if fields.get("reason", job.reason) == job.reason]
    cursor = fields.get("cursor", "0")
    if not cursor.isdigit():
        raise Refusal("invalid", "Invalid: cursor is not one of this server's")
    start = int(cursor)
    end = start + fields.get("limit", 100)
    rows = [_previewed(server.to_wire(job), fields.get("preview", 0)) for job in jobs[start:end]]
    return {
        "jobs": rows,
        "cursor": str(end) if end < len(jobs) else None,
    }


def _previewed(row: Members, size: int) -> Members:
    """A job of a listing: whole, or with so many bytes of its data's text."""
    if size == 0:
        return row
    data = encode_json(row["data"]).encode()
    del row["errors"]
    return {**row, "data": data[:size].decode(errors="ignore"), "data_size": len(data)}


def _among(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise Refusal("invalid", f"Invalid: {name} must be one of {', '.join(choices)}")


def _cancel(call: Call) -> Members:
    job = _known(call)
    if job.has_ended:
        raise Refusal("not_found", f"Job {job.id} not found")
    call.server.drop(job, "cancelled")
    return {}


# The dead-letter queue


def _dead(call: Call) -> list[FakeJob]:
    ids, reason = call.fields.get("ids"), call.fields.get("reason")
    if len({"id", "ids", "reason"} & call.fields.keys()) > 1:
        raise Refusal("invalid", "Invalid: only one of id, ids and reason may be given")
    _among("reason", reason or REASONS[0], REASONS)
    if "id" in call.fields:
        ids = [call.fields["id"]]
    jobs = sorted(call.server.jobs_of(call.queue, "failed"), key=lambda job: job.id)
    return [job for job in jobs if (ids is None or job.id in ids) and (reason is None or job.reason == reason)]


def _dlq(call: Call) -> Members:
    return {"jobs": [job.to_wire() for job in _dead(call)[: call.fields.get("count", 100)]]}


def _retry_dlq(call: Call) -> Members:
    jobs = _dead(call)
    if "id" in call.fields and not jobs:
        raise Refusal("not_found", f"Job {call.fields['id']} not found")
    for job in jobs:
        job.row.update(attempts=0, deliveries=0, run_at=max(job.row["run_at"], call.server.now))
        job.losses = 0
        call.server.put_back(job)
    return {"ids": [len(jobs)], "count": len(jobs)}


def _dlq_counts(call: Call) -> Members:
    counts: dict[str, dict[str, int]] = {}
    for job in call.server.jobs.values():
        if job.state == "failed" and job.reason is not None:
            row = counts.setdefault(job.queue, {})
            row[job.reason] = row.get(job.reason, 0) + 1
    return {"counts": counts}


# Queues


def _drop_all(call: Call, jobs: list[FakeJob]) -> Members:
    for job in jobs:
        call.server.drop(job, "cancelled")
    return {"count": len(jobs)}


def _obliterate(call: Call) -> Members:
    dropped = _drop_all(call, call.server.jobs_of(call.queue, *PENDING, "active", "failed"))
    for job in call.server.jobs_of(call.queue, "completed"):
        del call.server.jobs[job.id]
    call.server.queues.pop(call.queue, None)
    return dropped


def _setting(**values: Any) -> Callable[[Call], Members]:
    """Sets what is given; a value that is a string is the name of a field."""

    def reply(call: Call) -> Members:
        settings = call.server.settings_of(call.queue)
        for name, value in values.items():
            setattr(settings, name, call.fields.get(value, 1_000) if isinstance(value, str) else value)
        return {}

    return reply


def _set_queue(call: Call) -> Members:
    if "max_length" in call.fields:
        call.server.settings_of(call.queue).max_length = call.fields["max_length"]
    return {}


def _is_paused(call: Call) -> Members:
    settings = call.server.queues.get(call.queue)
    return {"paused": settings is not None and settings.is_paused}


def _list_queues(call: Call) -> Members:
    return {"queues": [_counts(call.server, name) for name in call.server.queues]}


def _counts(server: MemoryDaemon, name: str) -> Members:
    settings = server.settings_of(name)

    def count(state: str) -> int:
        return len(server.jobs_of(name, state))

    return {
        "name": name,
        "pending": count("waiting"),
        "processing": count("active"),
        "delayed": count("delayed"),
        "dlq": count("failed"),
        "completed": count("completed"),
        "paused": settings.is_paused,
        "rate_limit": settings.rate_limit,
        "rate_duration": settings.rate_duration,
        "concurrency_limit": settings.concurrency,
    }


def _stats(call: Call) -> Members:
    names = ("queued", "delayed", "waiting", "processing", "completed", "dlq")
    states = [job.state for job in call.server.jobs.values()]
    return {name: states.count(state) for name, state in zip(names, STATES)}


# Crons and events


def _cron(call: Call) -> Members:
    call.server.crons[call.fields["name"]] = dict(call.fields)
    return {}


def _known_cron(call: Call) -> Members:
    cron = call.server.crons.get(call.fields["name"])
    if cron is None:
        raise Refusal("not_found", "Cron job not found")
    return cron


def _cron_delete(call: Call) -> Members:
    _known_cron(call)
    del call.server.crons[call.fields["name"]]
    return {}


def _cron_run(call: Call) -> Members:
    cron = _known_cron(call)
    call.server.push(cron["queue"], cron)
    cron["last_run"] = call.server.now
    return {}


def _cron_paused(paused: bool) -> Callable[[Call], Members]:
    def reply(call: Call) -> Members:
        _known_cron(call)["paused"] = paused
        return {}

    return reply


def _cron_list(call: Call) -> Members:
    defaults = {"priority": 0, "timezone": "UTC", "paused": False, "next_run": None, "last_run": None}
    names = ("name", "queue", "data", "schedule", *defaults)
    rows = [{**defaults, **cron} for _, cron in sorted(call.server.crons.items())]
    return {"crons": [{name: row[name] for name in names} for row in rows]}


def _events(call: Call) -> list[str]:
    names: list[str] = call.fields.get("events", [])
    for name in names:
        if name not in EVENTS:
            raise Refusal("invalid", f"Invalid: there is no event {name}")
    return names


def _subscribe(call: Call) -> Members:
    call.peer.subscriptions[call.queue] = _events(call)
    return {}


def _unsubscribe(call: Call) -> Members:
    names = _events(call)
    left = [name for name in call.peer.subscriptions.pop(call.queue, []) if name not in names]
    if names and left:
        call.peer.subscriptions[call.queue] = left
    return {}


# Jobs by id


def _known(call: Call) -> FakeJob:
    job = call.server.jobs.get(call.fields["id"])
    if job is None:
        raise Refusal("not_found", f"Job {call.fields['id']} not found")
    return job


def _held(call: Call) -> FakeJob:
    job = _known(call)
    token = call.fields.get("token")
    if job.state == "completed":
        raise Refusal("not_found", f"Job {job.id} not found")
    if token is not None and (job.hold is None or job.hold.token != token):
        raise Refusal("lease_lost", "Lease lost: the job was given to another worker or is pending again")
    if job.hold is None:
        raise Refusal("not_found", f"Job {job.id} not found in processing")
    return job


def _each_held(call: Call, action: Callable[[FakeJob, int], None]) -> int:
    """Do something with each held job of ``ids``, skipping the others; how many there were."""
    tokens = call.fields.get("tokens", [])
    count = 0
    for index, id_ in enumerate(call.fields["ids"]):
        job = call.server.jobs.get(id_)
        token = tokens[index] if index < len(tokens) else None
        if job is not None and job.hold is not None and token in (None, job.hold.token):
            action(job, index)
            count += 1
    return count


REPLIES: dict[str, Callable[[Call], Members | None]] = {
    "PUSH": _push,
    "PUSHB": _push_batch,
    "PULL": _pull_one,
    "PULLB": _pull_many,
    "ACK": _ack,
    "ACKB": _ack_batch,
    "FAIL": _fail,
    "RELEASE": _release,
    "HEARTBEAT": _heartbeat,
    "PROGRESS": _progress,
    "GETPROGRESS": _get_progress,
    "GETRESULT": _get_result,
    "GETJOB": _get_job,
    "GETJOBS": _get_jobs,
    "WAITJOB": _wait_job,
    "CANCEL": _cancel,
    "DLQ": _dlq,
    "RETRYDLQ": _retry_dlq,
    "PURGEDLQ": lambda call: _drop_all(call, _dead(call)),
    "GETDLQCOUNTS": _dlq_counts,
    "DRAIN": lambda call: _drop_all(call, call.server.jobs_of(call.queue, *PENDING)),
    "OBLITERATE": _obliterate,
    "PAUSE": _setting(is_paused=True),
    "RESUME": _setting(is_paused=False),
    "ISPAUSED": _is_paused,
    "RATELIMIT": _setting(rate_limit="limit", rate_duration="duration"),
    "RATELIMITCLEAR": _setting(rate_limit=None, rate_duration=None),
    "SETCONCURRENCY": _setting(concurrency="limit"),
    "CLEARCONCURRENCY": _setting(concurrency=None),
    "SETQUEUE": _set_queue,
    "LISTQUEUES": _list_queues,
    "STATS": _stats,
    "CRON": _cron,
    "CRONDELETE": _cron_delete,
    "CRONRUN": _cron_run,
    "CRONPAUSE": _cron_paused(True),
    "CRONRESUME": _cron_paused(False),
    "CRONLIST": _cron_list,
    "SUBSCRIBE": _subscribe,
    "UNSUBSCRIBE": _unsubscribe,
    "AUTH": lambda _call: {},
    "PING": lambda _call: {"pong": True},
    "HELLO": lambda _call: {"server": "fake", "version": "0", "protocol": 1, "limits": {}},
}
