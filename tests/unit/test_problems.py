"""The dashboard's rules: what is a problem, from when on, how bad, and when it is over."""

import dataclasses

import pytest

from mqfast.http.problems import (
    AT_LIMIT_MS,
    CRON_LATE_MS,
    MOST,
    NO_WORKER_MS,
    RESOLVED_MS,
    CronFacts,
    Facts,
    Finding,
    Problems,
    QueueFacts,
    find,
)

T0 = 1_766_500_000_000
BUSY = QueueFacts(name="q", waiting=100, active=5, failed=0, rate_in=10, rate_out=10)


def kinds(facts: Facts, now_ms: int = T0) -> dict[str, str]:
    """What holds: kind and level."""
    return {finding.kind: finding.level for finding in find(facts, now_ms)}


def of_queue(**changes: object) -> dict[str, str]:
    return kinds(Facts(queues=[dataclasses.replace(BUSY, **changes)]))  # type: ignore[arg-type]


def test_a_busy_queue_is_no_problem() -> None:
    assert of_queue() == {}
    assert kinds(Facts()) == {}


def test_no_worker_is_waiting_with_nothing_held_or_given() -> None:
    assert of_queue(active=0, rate_out=0) == {"no_worker": "critical"}
    assert of_queue(active=0, rate_out=None) == {"no_worker": "critical"}
    assert of_queue(active=1, rate_out=0) == {}
    assert of_queue(active=0, rate_out=0.5) == {}
    assert of_queue(active=0, rate_out=0, parked=True) == {}
    assert of_queue(active=0, rate_out=0, waiting=0) == {}


def test_a_paused_queue_with_jobs_is_paused_and_does_not_lack_workers() -> None:
    assert of_queue(active=0, rate_out=0, paused=True) == {"paused": "note"}
    assert of_queue(waiting=0, paused=True) == {}


def test_at_its_limit_is_not_without_workers() -> None:
    assert of_queue(concurrency_limit=5) == {"at_limit": "note"}
    assert of_queue(concurrency_limit=6) == {}
    assert of_queue(rate_limit=10, rate_out=10) == {"at_limit": "note"}
    assert of_queue(rate_limit=10, rate_out=0, active=0) == {"no_worker": "critical"}


def test_growing_needs_growth_over_five_minutes_and_an_old_head() -> None:
    assert of_queue(waiting_before=50, head_age=61_000) == {"growing": "warning"}
    assert of_queue(waiting_before=50, head_age=59_000) == {}
    assert of_queue(waiting_before=100, head_age=61_000) == {}
    assert of_queue(waiting_before=None, head_age=61_000) == {}


@pytest.mark.parametrize(
    ("failed", "completed", "level"),
    [(4, 0, None), (5, 45, "critical"), (5, 46, "warning"), (5, 495, "warning"), (5, 496, None), (50, 50, "critical")],
)
def test_failing_is_a_share_of_all_ends(failed: int, completed: int, level: str | None) -> None:
    found = of_queue(failed=10 + failed, failed_before=10, completed_since=completed)
    assert found.get("failing") == level


def test_an_unknown_past_fails_nobody() -> None:
    assert of_queue(failed=1000) == {}


def test_memory_near_its_limit() -> None:
    assert kinds(Facts(memory=(79, 100))) == {}
    assert kinds(Facts(memory=(81, 100))) == {"memory": "warning"}
    assert kinds(Facts(memory=(96, 100))) == {"memory": "critical"}
    assert kinds(Facts(memory=(96, 0))) == {}


def test_storage_leases_and_slow_subscribers() -> None:
    assert kinds(Facts(storage="failed")) == {"storage_failed": "critical"}
    assert kinds(Facts(storage="refused")) == {"storage_full": "critical"}
    assert kinds(Facts(stalled=3, slow=1)) == {"leases_lost": "warning", "slow_subscribers": "warning"}


def test_a_cron_is_overdue_after_a_grace() -> None:
    def late(ms: int, paused: bool = False) -> Facts:
        return Facts(crons=[CronFacts("nightly", T0 - ms, paused)])

    assert kinds(late(CRON_LATE_MS)) == {}
    assert kinds(late(CRON_LATE_MS + 1)) == {"cron_overdue": "warning"}
    assert kinds(late(CRON_LATE_MS + 1, paused=True)) == {}
    assert kinds(Facts(crons=[CronFacts("never", None, False)])) == {}


NO_WORKER = Finding("no_worker", "critical", "q", 10, hold_ms=NO_WORKER_MS)


def test_a_condition_is_a_problem_when_it_has_held_long_enough() -> None:
    problems = Problems()
    assert problems.update([NO_WORKER], T0) == []
    assert problems.update([NO_WORKER], T0 + NO_WORKER_MS - 1) == []
    (problem,) = problems.update([NO_WORKER], T0 + NO_WORKER_MS)
    assert (problem.since, problem.resolved_at) == (T0, None)
    assert problem.as_json() == {
        "id": "no_worker:q",
        "level": "critical",
        "kind": "no_worker",
        "since": T0,
        "n": 10,
        "queue": "q",
    }


def test_a_condition_that_ends_before_starts_anew() -> None:
    problems = Problems()
    problems.update([NO_WORKER], T0)
    assert problems.update([], T0 + 30_000) == [], "what never was a problem is not resolved"
    assert problems.update([NO_WORKER], T0 + 40_000) == []
    assert problems.update([NO_WORKER], T0 + 90_000) == []


def test_a_problem_that_is_over_stays_as_resolved_for_a_while() -> None:
    problems = Problems()
    memory = Finding("memory", "warning", n=1)
    problems.update([memory], T0)
    (resolved,) = problems.update([], T0 + 5000)
    assert resolved.resolved_at == T0 + 5000
    assert resolved.as_json()["resolved_at"] == T0 + 5000
    assert len(problems.update([], T0 + 5000 + RESOLVED_MS - 1)) == 1
    assert problems.update([], T0 + 5000 + RESOLVED_MS) == []


def test_a_problem_that_comes_back_is_open_once() -> None:
    problems = Problems()
    memory = Finding("memory", "warning", n=1)
    problems.update([memory], T0)
    problems.update([], T0 + 1000)
    (problem,) = problems.update([memory], T0 + 2000)
    assert (problem.since, problem.resolved_at) == (T0 + 2000, None)


def test_a_problem_that_gets_worse_keeps_its_since() -> None:
    problems = Problems()
    problems.update([Finding("memory", "warning", n=1)], T0)
    (problem,) = problems.update([Finding("memory", "critical", n=2)], T0 + 1000)
    assert (problem.since, problem.finding.level, problem.finding.n) == (T0, "critical", 2)


def test_the_worst_and_the_oldest_come_first_and_the_list_is_bounded() -> None:
    problems = Problems()
    problems.update([Finding("paused", "note", "a"), Finding("growing", "warning", "b")], T0)
    shown = problems.update(
        [
            Finding("paused", "note", "a"),
            Finding("failing", "critical", "c"),
            Finding("growing", "warning", "b"),
            Finding("growing", "warning", "d"),
        ],
        T0 + 1000,
    )
    assert [problem.finding.subject for problem in shown] == ["c", "b", "d", "a"]
    assert problems.open_subjects() == {"a", "b", "c", "d"}
    many = [Finding("paused", "note", f"q{n}") for n in range(MOST * 2)]
    assert len(problems.update(many, T0 + 2000)) == MOST


def test_limit_must_hold_for_its_time() -> None:
    problems = Problems()
    full = next(find(Facts(queues=[dataclasses.replace(BUSY, concurrency_limit=5)]), T0))
    assert problems.update([full], T0) == []
    assert [p.finding.kind for p in problems.update([full], T0 + AT_LIMIT_MS)] == ["at_limit"]
