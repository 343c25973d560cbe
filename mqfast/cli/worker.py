"""Workers that run a command for each job: one connection, one job at a time each, until they are told to stop."""

import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mqfast.cli.connection import Answer, Connection
from mqfast.cli.errors import RefusedError, UnreachableError
from mqfast.cli.output import tell
from mqfast.cli.running import AbandonedError, Limits, Outcome, Stop, run
from mqfast.cli.verbatim import Raw, dumps

AGAIN_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits before connecting again, the last one for ever."""

_GONE = frozenset({"lease_lost", "not_found"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker does. fatal: exit statuses that send a job to the dead letters at once. only_ready: end when no
    job is ready, instead of waiting for one."""

    queue: str
    command: Sequence[str]
    environ: Mapping[str, str]
    lease_ms: int
    grace_s: float
    fatal: frozenset[int]
    only_ready: bool
    keeps_results: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that a command was run for. state: completed, failed or released."""

    job: Answer
    state: str
    outcome: Outcome
    why: str


class Worker:
    """One of the workers. connection is its first; it makes further ones when that is lost."""

    def __init__(
        self,
        plan: Plan,
        connection: Connection,
        connect: Callable[[], Connection],
        stop: Stop,
        report: Callable[[Ended], None],
    ) -> None:
        self._plan = plan
        self._connection: Connection | None = connection
        self._connect = connect
        self._stop = stop
        self._report = report

    def run(self) -> None:
        """Take jobs until the stop, or until none is ready if that is the plan. Raises RefusedError, OSError."""
        try:
            while not self._stop.is_requested():
                try:
                    job = self._pull(self._connected())
                except UnreachableError as error:
                    self._lose()
                    self._again(error)
                    continue
                if job is not None:
                    self._work(job)
                elif self._plan.only_ready:
                    return
        finally:
            self._lose()

    # The connection

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _lose(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _again(self, error: UnreachableError) -> None:
        """Wait for the daemon to be back, or for the stop."""
        tell(f"{error}; trying again")
        tries = 0
        while not self._stop.is_requested(AGAIN_SECONDS[min(tries, len(AGAIN_SECONDS) - 1)]):
            tries += 1
            try:
                self._connected()
            except UnreachableError:
                continue
            tell("connected again")
            return

    # A job

    def _pull(self, connection: Connection) -> Answer | None:
        timeout = 0 if self._plan.only_ready else None
        connection.send("PULL", queue=self._plan.queue, timeout=timeout, lease=self._plan.lease_ms)
        ready, _, _ = select.select([connection.fileno(), self._stop.requested], [], [])
        if connection.fileno() in ready:
            return _job_of(connection.receive(None))
        if not connection.address.tls:
            # The daemon ends the wait. A job that was on its way all the same goes back at once.
            connection.end_sending()
            job = _job_of(connection.receive())
            if job is not None:
                with self._connect() as another:
                    another.ask("RELEASE", id=job["id"], token=job["token"])
        return None

    def _work(self, job: Answer) -> None:
        plan = self._plan
        timeout = job["timeout"] / 1000 if job["timeout"] else None
        limits = Limits(plan.lease_ms / 3000, timeout, plan.grace_s)
        payload = str(job["data"]).encode() + b"\n"
        try:
            outcome = run(plan.command, payload, self._environ(job), limits, self._stop, lambda: self._heartbeat(job))
        except AbandonedError as reason:
            tell(f"job {job['id']}: its command was ended: {reason}")
            return
        except OSError as error:
            self._settle("RELEASE", job, {})
            raise OSError(f"cannot run {plan.command[0]}: {(error.strerror or str(error)).lower()}") from None
        self._finish(job, outcome)

    def _finish(self, job: Answer, outcome: Outcome) -> None:
        if outcome.ended == "stop":
            state, why, command, fields = "released", "the worker stops", "RELEASE", {}
        elif outcome.ended == "timeout":
            why = f"its command took longer than the job's timeout of {job['timeout']} ms"
            state, command, fields = "failed", "FAIL", _error(why)
        elif outcome.status:
            why = f"exit status {outcome.status}" + (f": {outcome.error}" if outcome.error else "")
            state, command, fields = "failed", "FAIL", _error(why)
            if outcome.status in self._plan.fatal:
                fields["unrecoverable"] = True
        else:
            state, why, command = "completed", "", "ACK"
            fields = {"result": _result(outcome.output) if self._plan.keeps_results else None}
        if self._settle(command, job, fields, done_already=outcome.ended == "timeout"):
            self._report(Ended(job, state, outcome, why))

    def _environ(self, job: Answer) -> dict[str, str]:
        return {
            **self._plan.environ,
            "MQ_JOB_ID": str(job["id"]),
            "MQ_JOB_QUEUE": str(job["queue"]),
            "MQ_JOB_ATTEMPT": str(job["attempts"] + 1),
            "MQ_JOB_MAX_ATTEMPTS": str(job["max_attempts"]),
            "MQ_JOB_DELIVERY": str(job["deliveries"]),
            "MQ_JOB_PRIORITY": str(job["priority"]),
            "MQ_JOB_TOKEN": str(job["token"]),
        }

    def _heartbeat(self, job: Answer) -> None:
        """Raises AbandonedError if the job is lost. Without a connection the lease runs on: the next one tells."""
        try:
            self._connected().ask("HEARTBEAT", id=job["id"], token=job["token"])
        except UnreachableError:
            self._lose()
        except RefusedError as refusal:
            if refusal.code in _GONE:
                raise AbandonedError(str(refusal)) from None
            tell(f"job {job['id']}: no heartbeat: {refusal}")

    def _settle(self, command: str, job: Answer, fields: dict[str, Any], *, done_already: bool = False) -> bool:
        """Tell the daemon how the job ended, over a new connection if need be, as long as its lease may last.

        done_already: the daemon may know, for it keeps the job's timeout too, or has been told before.
        """
        until = time.monotonic() + self._plan.lease_ms / 1000
        while True:
            try:
                self._connected().ask(command, id=job["id"], token=job["token"], **fields)
                return True
            except UnreachableError as error:
                self._lose()
                done_already = True
                if time.monotonic() >= until or self._stop.is_forced(AGAIN_SECONDS[1]):
                    tell(f"job {job['id']}: its end could not be told: {error}; it will be given out again")
                    return False
            except RefusedError as refusal:
                if refusal.code == "payload_too_large" and fields.pop("result", None) is not None:
                    tell(f"job {job['id']}: its output is too large to be kept as its result; it is done without one")
                    continue
                if refusal.code in _GONE and done_already:
                    return True
                tell(f"job {job['id']}: {command.lower()} was refused: {'; '.join(refusal.lines)}")
                return False


def _job_of(answer: Answer) -> Answer | None:
    job: Answer | None = answer["job"]
    return job


def _error(why: str) -> dict[str, Any]:
    return {"error": why}


def _result(output: bytes) -> Raw | None:
    """What a command wrote, as JSON if it is, else as a string without the last line's end; None if nothing."""
    if not output.strip():
        return None
    text = output.decode(errors="replace")
    try:
        return Raw.parse(text)
    except ValueError:
        return Raw(dumps(text.removesuffix("\n")))


class Crew:
    """Workers on threads. The first failure of one stops them all."""

    def __init__(self, workers: Sequence[Worker], stop: Stop) -> None:
        self._stop = stop
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(worker,)) for worker in workers]

    def run(self) -> None:
        """Until all have ended. Raises what the first failed with."""
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _run(self, worker: Worker) -> None:
        try:
            worker.run()
        except BaseException as error:  # to be raised by the thread that waits
            self._failures.append(error)
            if not self._stop.is_requested():
                self._stop.request()
