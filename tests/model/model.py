"""Every command of the contract over the model's state.

What the engine chooses - ids and tokens - is learned from its answers and checked there; all else is predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from fractions import Fraction
from typing import Any

from tests.model.job import NEVER, Bucket, Job, Queue, later, loaded
from tests.model.requests import (
    COMMANDS,
    ITEM,
    SHOWN,
    Answer,
    Refused,
    Starting,
    check,
    fields,
    invalid,
    not_found,
    not_held,
)
from tests.model.slots import SLOTS, slot
from tests.model.state import OPEN, Listing, Mismatch, State, Walk

# Finding M4: GETJOBS does not tell what a job waits for. False: it does, as GETJOB.
LISTED_WITHOUT_WAITS_FOR = True
# Finding M7: in a batch the key of an item that goes to the dead-letter queue at once is not free for later items.
BATCH_KEEPS_KEYS_OF_DEAD = True
Fields = dict[str, Any]


TOTALS = ("pushed", "completed", "failed", "timed_out", "expired", "cancelled", "retried", "stalled")
MEASURED = ("jobs_per_second", "avg_latency_ms", "latency_ms", "wait_ms", "run_ms", "rates", "memory", "log")


class Model(State):
    def execute(self, request: Answer, heard: Answer) -> Answer:
        """The answer to a request; of heard, the engine's answer, only what the engine may choose is taken."""
        self.heard = heard
        self.moment += 1
        cmd = request.get("cmd")
        echo = {"reqId": request["reqId"]} if request.get("reqId") is not None else {}
        try:
            handler = HANDLERS.get(cmd.upper()) if isinstance(cmd, str) else None
            if handler is None:
                raise Refused("unknown_command", Starting("Unknown command"))
            answer = handler(self, **fields(COMMANDS[str(cmd).upper()], request, self.max_job_bytes))
        except Refused as refused:
            return refused.answer() | echo
        return {"ok": True} | answer | echo

    def _push(self, queue: str, **options: Any) -> Answer:
        self._given_up.clear()
        return {"id": self._add(queue, options, self.heard.get("id"))}

    def _pushb(self, queue: str, jobs: Any) -> Answer:
        if type(jobs) is not list:
            raise invalid()
        heard = self.heard.get("ids")
        ids: list[int] = []
        errors: list[Answer] = []
        keys: set[str | None] = set()
        self._given_up.clear()
        for index, item in enumerate(jobs):
            try:
                options = fields(ITEM, item, self.max_job_bytes)
                ids.append(self._add(queue, options, heard[index] if heard and index < len(heard) else None, keys))
                keys |= {options["unique_key"]} - {None}
            except Refused as refused:
                ids.append(0)
                errors.append({"index": index, "code": refused.code, "error": refused.error})
        return {"ids": ids, "errors": errors} if errors else {"ids": ids}

    def _add(self, queue: str, options: Fields, heard_id: Any, taken: Container[Any] = ()) -> int:
        key = options["unique_key"]
        depends_on = options["depends_on"] or []
        for parent in depends_on:
            if parent not in self.given:
                raise not_found(parent)
        if key is not None and (self._key_is_held(queue, key) or (BATCH_KEEPS_KEYS_OF_DEAD and key in taken)):
            raise Refused("duplicate", f"Duplicate job with key: {key}")
        settings = self.queues.get(queue)
        if settings and settings.max_length and self._length(queue) >= settings.max_length:
            raise Refused("queue_full", "Queue full: as many jobs wait as its max_length allows", retryable=True)
        self._learn_id(queue, heard_id)
        job = Job(
            id=heard_id,
            queue=queue,
            data=options["data"].text,
            priority=options["priority"],
            created_at=self.now,
            run_at=later(self.now, options["delay"]),
            max_attempts=options["max_attempts"],
            backoff=options["backoff"],
            max_backoff=options["max_backoff"],
            ttl=options["ttl"],
            timeout=options["timeout"] or 0,
            unique_key=key,
            depends_on=depends_on,
        )
        self.jobs[job.id] = job
        self.queues.setdefault(queue, Queue(queue))
        self.totals["pushed"] += 1
        gone = [parent for parent in depends_on if self.ended.get(parent) == "dropped"]
        job.open = [parent for parent in dict.fromkeys(depends_on) if parent not in self.ended]
        if gone:
            job.state = "waitingparent"
            self._give_up(job, gone)
            self._given_up.add(job.id)
        elif job.open:
            job.state = "waitingparent"
        else:
            self._put_back(job)
        return job.id

    def _key_is_held(self, queue: str, key: str) -> bool:
        return any(job.unique_key == key for job in self.of(queue, *OPEN))

    def _learn_id(self, queue: str, id: Any) -> None:
        if type(id) is not int or not self.last_ids.get(queue, 0) < id <= SHOWN:
            raise Mismatch(f"{id!r} cannot be the next id of {queue!r}, whose last was {self.last_ids.get(queue)}")
        if id % SLOTS != slot(queue) or id in self.given:
            raise Mismatch(f"{id} is no id of slot {slot(queue)} or was given out before")
        self.last_ids[queue] = id
        self.given.add(id)

    def _pull(self, queue: str, timeout: int | None, lease: int | None) -> Answer:
        jobs = self._deliver(queue, 1, lease, [self.heard.get("job")])
        return {"job": jobs[0] if jobs else None}

    def _pullb(self, queue: str, count: int, timeout: int | None, lease: int | None) -> Answer:
        return {"jobs": self._deliver(queue, min(count, 10_000), lease, self.heard.get("jobs"))}

    def _deliver(self, name: str, count: int, lease: int | None, heard: Any, holder: str | None = None) -> list[Answer]:
        queue = self.queues.get(name)
        if queue is None or queue.paused:
            return []
        if queue.concurrency is not None:
            count = min(count, max(0, queue.concurrency - len(self.of(name, "active"))))
        if queue.bucket is not None:
            queue.bucket.fill(self.now)
            count = min(count, int(queue.bucket.tokens))
        jobs = sorted(self.of(name, "waiting"), key=Job.place)[:count]
        if queue.bucket is not None:
            queue.bucket.tokens -= Fraction(len(jobs))
        shown = []
        for index, job in enumerate(jobs):
            job.state = "active"
            job.was_pulled = True
            job.deliveries += 1
            job.started_at = self.now
            job.lease = self.lease_ms if lease is None else lease
            job.holder = holder
            self._hold(job, job.lease)
            job.token = self._learned_token(heard, index)
            shown.append(self.shown(job))
        return shown

    def _hold(self, job: Job, lease: int) -> None:
        job.lease_ends = later(self.now, lease) if job.holder is None else NEVER
        job.times_out = later(self.now, job.timeout) if job.timeout else NEVER

    def _learned_token(self, heard: Any, index: int) -> str | None:
        if not isinstance(heard, list) or len(heard) <= index or not isinstance(heard[index], dict):
            return None  # this delivery did not happen: the answers differ
        token = heard[index].get("token")
        if type(token) is not str or not token or token in self.tokens:
            raise Mismatch(f"{token!r} is no token or was given before")
        self.tokens.add(token)
        return token

    def _held(self, id: int, token: str | None = None) -> Job:
        job = self.jobs.get(id)
        if job is None or job.state == "completed":
            raise not_found(id)
        if job.state == "failed":  # ended, though it is there
            raise not_held(id)
        if token is not None and token != job.token:
            raise Refused("lease_lost", Starting("Lease lost"))
        if job.state != "active":
            raise not_held(id)
        return job

    def _each_held(self, ids: list[int], tokens: list[str | None] | None) -> Iterator[tuple[int, Job]]:
        for index, id in enumerate(ids):
            try:
                yield index, self._held(id, tokens[index] if tokens else None)
            except Refused:
                continue

    def _ack(self, id: int, result: Any, token: str | None) -> Answer:
        self._complete(self._held(id, token), loaded(result.text) if result else None)
        return {}

    def _ackb(self, ids: list[int], results: Any, tokens: list[str | None] | None) -> Answer:
        if any(part is not None and len(part) != len(ids) for part in (results, tokens)):
            raise invalid()
        count = 0
        for index, job in self._each_held(ids, tokens):
            result = results[index] if results else None
            if result is not None:
                try:
                    check("result", result, self.max_job_bytes)
                except Refused:
                    continue
            self._complete(job, loaded(result.text) if result else None)
            count += 1
        return {"ids": [count], "count": count}

    def _fail(self, id: int, error: str | None, token: str | None, unrecoverable: bool) -> Answer:
        job = self._held(id, token)
        self.totals["failed"] += 1
        if error is not None:
            job.last_error = error
        self._attempt_failed(job, "failed", error, unrecoverable=unrecoverable)
        return {}

    def _release(self, id: int | None, token: Any, ids: list[int] | None, tokens: Any, delay: int) -> Answer:
        if (id is None) == (ids is None):
            raise invalid()
        if ids is None:
            assert id is not None
            jobs = [self._held(id, token)]
        else:
            if tokens is not None and len(tokens) != len(ids):
                raise invalid()
            jobs = list(dict.fromkeys(job for _, job in self._each_held(ids, tokens)))
        for job in jobs:
            if delay:
                job.run_at = later(self.now, delay)
            self._put_back(job)
        return {"count": len(jobs)}

    def _heartbeat(self, id: int, token: str | None, lease: int | None) -> Answer:
        job = self._held(id, token)
        self._hold(job, job.lease if lease is None else lease)
        return {}

    def _cancel(self, id: int) -> Answer:
        job = self.jobs.get(id)
        if job is None or job.state not in OPEN:
            raise not_found(id)
        self._drop_all([job])
        return {}

    def _progress(self, id: int, progress: int, message: str | None) -> Answer:
        job = self._held(id)
        job.progress = max(0, min(100, progress))
        job.progress_msg = message
        return {}

    def _getprogress(self, id: int) -> Answer:
        job = self.jobs.get(id)
        if job is None:
            raise not_found(id)
        if job.state not in ("active", "completed"):
            raise not_held(id)
        return {"progress": {"id": id, "progress": job.progress, "message": job.progress_msg}}

    def _getresult(self, id: int) -> Answer:
        job = self.jobs.get(id)
        return {"id": id, "result": job.result if job else None}

    def _getjob(self, id: int) -> Answer:
        job = self.jobs.get(id)
        return {"job": self.shown(job) | job.past() if job else None, "state": self.state(id)}

    def _waitjob(self, id: int, timeout: int | None) -> Answer:
        job = self.jobs.get(id)
        if job is None:
            raise not_found(id)
        if job.state == "completed":
            return {"result": job.result, "state": "completed"}
        if job.state == "failed":
            raise Refused("failed", "Job failed" if job.last_error is None else job.last_error)
        raise Refused("timeout", f"Timeout waiting for job {id}", retryable=True)

    def _dlq(self, queue: str, count: int | None) -> Answer:
        heard = [job.get("id") for job in self.heard.get("jobs", [])]
        return {"jobs": [self.shown(job) for job in self.dead(queue, heard)[: 100 if count is None else count]]}

    def _retrydlq(self, queue: str, id: int | None, ids: list[int] | None, reason: str | None) -> Answer:
        if id is None:
            count = 0
            for job in self._chosen(queue, ids, reason):
                if job.unique_key is None or not self._key_is_held(queue, job.unique_key):
                    self._retry(job)
                    count += 1
            self._expire_overdue(queue)
            return {"ids": [count], "count": count}
        if ids is not None or reason is not None:
            raise invalid()
        dead = self.jobs.get(id)
        if dead is None or dead.state != "failed" or dead.queue != queue:
            raise not_found(id)
        if dead.unique_key is not None and self._key_is_held(queue, dead.unique_key):
            raise Refused("duplicate", f"Duplicate job with key: {dead.unique_key}")
        self._retry(dead)
        self._expire_overdue(queue)
        return {"ids": [1], "count": 1}

    def _chosen(self, queue: str, ids: list[int] | None, reason: str | None) -> list[Job]:
        """Dead letters by their ids, in that order, or for a reason, or all."""
        if ids is not None and reason is not None:
            raise invalid()
        dead = self.dead(queue)
        if ids is not None:
            by_id = {job.id: job for job in dead}
            return [by_id[id] for id in dict.fromkeys(ids) if id in by_id]
        return [job for job in dead if reason in (None, job.reason)]

    def _retry(self, job: Job) -> None:
        job.attempts = job.deliveries = job.losses = 0
        job.reason = job.ended_at = None
        job.run_at = max(job.run_at, self.now)
        self._put_back(job)
        if job.open:
            job.state = "waitingparent"

    def _expire_overdue(self, queue: str) -> None:
        """The TTL of a job that was never pulled ran on in the dead-letter queue."""
        for job in sorted(self.of(queue, *OPEN), key=Job.expires):
            if job.id in self.jobs and job.expires() <= self.now:
                self._expire(job)

    def _purgedlq(self, queue: str, ids: list[int] | None, reason: str | None) -> Answer:
        return self._drop_all(self._chosen(queue, ids, reason))

    def _drain(self, queue: str) -> Answer:
        return self._drop_all(self.of(queue, "waiting", "delayed", "waitingparent"))

    def _drop_all(self, jobs: list[Job]) -> Answer:
        self.totals["cancelled"] += sum(job.state in OPEN for job in jobs)
        self._drop(jobs)
        return {"count": len(jobs)}

    def _obliterate(self, queue: str) -> Answer:
        for job in self.of(queue, "completed"):
            del self.jobs[job.id]
        self.queues.pop(queue, None)
        return self._drop_all(self.of(queue, *OPEN, "failed"))

    def _getjobs(self, queue: str, state: str, limit: int | None, cursor: str | None, **options: Any) -> Answer:
        reason, dir, preview = options["reason"], options["dir"] or "asc", options["preview"] or 0
        if reason is not None and state != "failed":
            raise invalid()
        listing = Listing(queue, state, reason, dir)
        page = self._page(listing, cursor, 100 if limit is None else min(limit, 1000))
        shown = [job.shown() if LISTED_WITHOUT_WAITS_FOR else self.shown(job) for job in page]
        for job, answer in zip(page, shown, strict=True):
            answer |= job.past()
            if preview:
                del answer["errors"]
                data = job.data.encode()
                answer |= {"data": data[:preview].decode(errors="ignore"), "data_size": len(data)}
        return {"jobs": shown, "cursor": self.heard.get("cursor")}

    def _page(self, listing: Listing, cursor: str | None, limit: int) -> list[Job]:
        """The jobs the engine chose to list, if it may: in order, none twice, and none left out that stayed."""
        now = self.listed(listing)
        if cursor is not None and (cursor, listing) not in self.walks:
            raise invalid()
        walk = Walk({job.id for job in now}) if cursor is None else self.walks[cursor, listing]
        sign = 1 if listing.dir == "asc" else -1
        rest = [job for job in now if walk.last is None or job.id * sign > walk.last * sign]
        heard = [job.get("id") for job in self.heard.get("jobs", [])]
        page = [job for job in rest if job.id in heard]
        last = page[-1].id if page else walk.last
        after = self.heard.get("cursor")
        passed = {id for id in walk.stayed if after is None or (last is not None and id * sign <= last * sign)}
        if missed := passed - walk.listed - {job.id for job in page}:
            raise Mismatch(f"{sorted(missed)} stayed {listing.state} all the time and were not listed")
        if after is not None:
            if type(after) is not str or not after:
                raise Mismatch(f"{after!r} is no cursor")
            self.walks[after, listing] = Walk(walk.stayed, walk.listed | {job.id for job in page}, last)
        return page[:limit]

    def _metrics(self) -> Answer:
        heard = self.heard.get("metrics", {})
        order = [row.get("name") for row in heard.get("queues", [])]
        rows = {name: row | self._more(name) for name, row in self.rows().items()}
        totals = {f"total_{name}": self.totals[name] for name in TOTALS}
        queues = [rows.pop(name) for name in order if name in rows] + list(rows.values())
        measured = {name: heard.get(name) for name in MEASURED}
        return {"metrics": totals | {"queues": queues} | measured}

    def _more(self, name: str) -> Answer:
        """What METRICS says of a queue and LISTQUEUES does not."""
        length = min(self.queues[name].max_length, SHOWN)
        return {"waiting": self.waiting_for_others(name), "max_length": length or None}

    def _pause(self, queue: str) -> Answer:
        self.queues.setdefault(queue, Queue(queue)).paused = True
        return {}

    def _resume(self, queue: str) -> Answer:
        if queue in self.queues:
            self.queues[queue].paused = False
        return {}

    def _ispaused(self, queue: str) -> Answer:
        return {"paused": queue in self.queues and self.queues[queue].paused}

    def _ratelimit(self, queue: str, limit: int, duration: int | None) -> Answer:
        known = self.queues.setdefault(queue, Queue(queue))
        duration = 1000 if duration is None else duration
        if known.bucket is None or (known.bucket.limit, known.bucket.duration) != (limit, duration):
            known.bucket = Bucket(limit, duration, Fraction(limit), self.now)
        return {}

    def _ratelimitclear(self, queue: str) -> Answer:
        if queue in self.queues:
            self.queues[queue].bucket = None
        return {}

    def _length(self, queue: str) -> int:
        """What waits; while a batch is taken, that is also its jobs whose parents were dropped."""
        return sum(len(self.of(queue, state)) for state in ("waiting", "delayed", "waitingparent")) + len(
            self._given_up
        )

    def _setqueue(self, queue: str, max_length: int | None) -> Answer:
        if max_length:
            self.queues.setdefault(queue, Queue(queue)).max_length = max_length
        elif max_length == 0 and queue in self.queues:
            self.queues[queue].max_length = 0
        return {}

    def _setconcurrency(self, queue: str, limit: int) -> Answer:
        self.queues.setdefault(queue, Queue(queue)).concurrency = limit
        return {}

    def _clearconcurrency(self, queue: str) -> Answer:
        if queue in self.queues:
            self.queues[queue].concurrency = None
        return {}

    def _listqueues(self) -> Answer:
        order = [row.get("name") for row in self.heard.get("queues", [])]
        rows = self.rows()
        return {"queues": [rows.pop(name) for name in order if name in rows] + list(rows.values())}

    def _stats(self) -> Answer:
        return self.stats()

    def _ping(self) -> Answer:
        return {"pong": True}


HANDLERS: dict[str, Callable[..., Answer]] = {
    name: getattr(Model, "_" + name.lower()) for name in COMMANDS if hasattr(Model, "_" + name.lower())
}
