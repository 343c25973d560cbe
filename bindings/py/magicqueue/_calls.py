"""What the methods of a queue ask for, and what they make of the answer; the same for threads and for asyncio."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ._batching import Push, batch_line, cut
from ._core import Answer, Entry, encode_json, refusal
from ._jobs import CronJob, Job, Metrics, Progress, QueueMetrics, Stats, from_wire
from ._resending import PARKING, command_of, may_resend
from .errors import BatchRefusedError, MagicQueueError, RefusedError


class Call(NamedTuple):
    """A request, and how to read its answer."""

    request: dict[str, Any]
    read: Callable[[Answer], Any]


def entry_of(request: Mapping[str, Any]) -> tuple[Entry, str | None]:
    """A request on its way, and the ``reqId`` that its caller wants back: on the wire the connection has its own.

    Raises TypeError or ValueError for what is no JSON.
    """
    rest = dict(request)
    given = rest.pop("reqId", None)
    snake = rest.pop("req_id", None)
    given = snake if given is None else given
    parks = command_of(rest) in PARKING
    if isinstance(given, str) and is_short_text(given, 128):
        return Entry(encode_json(rest), parks=parks, resend=may_resend(rest)), given
    # One that is no id is for the daemon to refuse, not to be hidden by one of the connection's.
    text = encode_json(rest if given is None else request)
    return Entry(text, parks=parks and given is None, resend=may_resend(rest)), None


def is_short_text(text: str, most: int) -> bool:
    """Whether it is UTF-8 of so many bytes at most."""
    try:
        return len(text.encode()) <= most
    except UnicodeEncodeError:
        return False


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say something: for None the daemon has its defaults."""
    return {name: value for name, value in options.items() if value is not None}


# Pushing


def item_text(data: Any, options: Mapping[str, Any]) -> str:
    """A job as a JSON object. Raises MagicQueueError if the data or an option is no JSON."""
    try:
        return encode_json({"data": data, **given(options)}) if options else f'{{"data":{encode_json(data)}}}'
    except (TypeError, ValueError, RecursionError) as error:
        raise MagicQueueError(f"a job's data must be JSON: {error}") from error


def push_of(queue_json: str, job: Mapping[str, Any]) -> Push:
    """A push of a job with its options, all in one mapping."""
    if "data" not in job:
        raise MagicQueueError("a job needs data")
    options = {name: value for name, value in job.items() if name != "data"}
    key = options.get("unique_key", options.get("uniqueKey"))
    return Push(queue_json, item_text(job["data"], options), isinstance(key, str))


def batches_of(queue_json: str, jobs: Iterable[Mapping[str, Any]]) -> list[tuple[Entry, int]]:
    """The lines of a batch, with how many jobs each has. Raises MagicQueueError for a job that is no JSON."""
    texts = [push_of(queue_json, job).item for job in jobs]
    return [(Entry(batch_line(queue_json, batch)), len(batch)) for batch in cut(texts, len)]


def read_batches(batches: Sequence[tuple[Entry, int]]) -> list[int]:
    """The ids of a batch's jobs, in order. Raises BatchRefusedError if some were refused, or a lone line's error."""
    ids: list[int] = []
    errors: dict[int, MagicQueueError] = {}
    for entry, count in batches:
        start = len(ids)
        if entry.error is None:
            answer = entry.result()
            ids += answer["ids"]
            for row in answer.get("errors") or ():
                errors[start + row["index"]] = refusal(row)
        elif len(batches) > 1 and isinstance(entry.error, MagicQueueError):
            # Of several lines the failure of one is told for each of its jobs.
            ids += [0] * count
            errors.update((start + index, entry.error) for index in range(count))
        else:
            raise entry.error
    if errors:
        raise BatchRefusedError(ids, errors)
    return ids


# Single jobs


def wait_job(id: int, timeout_s: float) -> Call:
    request = {"cmd": "WAITJOB", "id": id, "timeout": max(0, round(timeout_s * 1000))}
    return Call(request, lambda answer: answer["result"])


def get_job(id: int) -> Call:
    def read(answer: Answer) -> Job | None:
        row = answer["job"]
        return None if row is None else from_wire(Job, {**row, "state": answer["state"]})

    return Call({"cmd": "GETJOB", "id": id}, read)


def get_result(id: int) -> Call:
    return Call({"cmd": "GETRESULT", "id": id}, lambda answer: answer["result"])


def get_progress(id: int) -> Call:
    def read(answer: Answer) -> Progress:
        row = answer["progress"]
        return {"progress": row["progress"], "message": row["message"]}

    return Call({"cmd": "GETPROGRESS", "id": id}, read)


def jobs_page(queue: str, state: str, options: Mapping[str, Any], cursor: str | None) -> Call:
    """A page of a listing: the jobs, and the cursor of the next page or None."""
    names = {"page_size": "limit", "reason": "reason", "preview": "preview"}
    rest = dict(options)
    request = {"cmd": "GETJOBS", "queue": queue, "state": state, "cursor": cursor}
    request["dir"] = "desc" if rest.pop("newest_first", False) else None
    request.update({names[name]: value for name, value in rest.items() if name in names})
    unknown = rest.keys() - names.keys()
    if unknown:
        raise TypeError(f"a listing has no option {min(unknown)}")
    request = given(request)
    return Call(
        request, lambda answer: ([from_wire(Job, {**row, "state": state}) for row in answer["jobs"]], answer["cursor"])
    )


def simple(command: str, **fields: Any) -> Call:
    """A command that answers nothing but ok."""
    return Call({"cmd": command, **given(fields)}, lambda _answer: None)


def counting(command: str, **fields: Any) -> Call:
    """A command that answers with a count."""
    return Call({"cmd": command, **given(fields)}, lambda answer: answer["count"])


# Queues


def get_dlq(queue: str, count: int | None) -> Call:
    request = given({"cmd": "DLQ", "queue": queue, "count": count})
    return Call(request, lambda answer: [from_wire(Job, {**row, "state": "failed"}) for row in answer["jobs"]])


def is_paused(queue: str) -> Call:
    return Call({"cmd": "ISPAUSED", "queue": queue}, lambda answer: answer["paused"])


def counts(queue: str) -> Call:
    def read(answer: Answer) -> QueueMetrics | None:
        rows = [row for row in answer["queues"] if row["name"] == queue]
        return from_wire(QueueMetrics, rows[0]) if rows else None

    return Call({"cmd": "LISTQUEUES"}, read)


def stats() -> Call:
    return Call({"cmd": "STATS"}, lambda answer: from_wire(Stats, answer))


def metrics() -> Call:
    def read(answer: Answer) -> Metrics:
        row = answer["metrics"]
        return from_wire(Metrics, {**row, "queues": [from_wire(QueueMetrics, one) for one in row["queues"]]})

    return Call({"cmd": "METRICS"}, read)


def add_cron(name: str, queue: str, schedule: str, data: Any, options: Mapping[str, Any]) -> Call:
    call = simple("CRON", name=name, queue=queue, schedule=schedule, **options)
    call.request["data"] = data
    return call


def list_crons() -> Call:
    return Call({"cmd": "CRONLIST"}, lambda answer: [from_wire(CronJob, row) for row in answer["crons"]])


def is_gone(error: BaseException) -> bool:
    """Whether a refusal says that a job is not this worker's any more."""
    return isinstance(error, RefusedError) and error.code in ("lease_lost", "not_found")
