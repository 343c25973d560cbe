"""The dashboard's rings: what is kept, for how long, and that nothing is made up where nothing was sampled."""

from mqfast.http.history import (
    COLUMNS,
    QUEUE_COLUMNS,
    QUEUE_TENS,
    QUEUES,
    SECONDS,
    TENS,
    History,
    Ring,
    Sample,
)

T0 = 1_766_500_000_000


def queue_row(waiting: float = 0, dead: float = 0) -> tuple[float | None, ...]:
    values: dict[str, float | None] = dict.fromkeys(QUEUE_COLUMNS)
    return tuple({**values, "waiting": waiting, "dead": dead}[name] for name in QUEUE_COLUMNS)


def test_ring_keeps_the_newest_rows_in_order() -> None:
    ring = Ring(1, 3)
    for n in range(5):
        ring.append(T0 + n, [n])
    assert ring.after(0) == ([T0 + 2, T0 + 3, T0 + 4], [[2, 3, 4]])
    assert ring.after(T0 + 3) == ([T0 + 4], [[4]])


def test_ring_keeps_none_as_none_and_zero_as_zero() -> None:
    ring = Ring(2, 2)
    ring.append(T0, [None, 0])
    assert ring.after(0)[1] == [[None], [0]]


def test_ring_finds_the_row_at_or_before_a_time() -> None:
    ring = Ring(1, 4)
    assert ring.at_or_before(T0, 0) is None
    ring.append(T0, [1])
    ring.append(T0 + 10, [2])
    assert ring.at_or_before(T0 - 1, 0) is None
    assert ring.at_or_before(T0 + 9, 0) == 1
    assert ring.at_or_before(T0 + 10, 0) == 2


def test_a_window_has_every_second_of_it_and_no_more() -> None:
    history = History()
    for second in range(SECONDS + 50):
        history.add(T0 + second * 1000, Sample(pushed=second))
    now = T0 + (SECONDS + 49) * 1000
    quarter = history.window("15m", now)
    assert quarter["step"] == 1000
    assert len(quarter["t"]) == SECONDS
    assert quarter["pushed"][-1] == SECONDS + 49
    five = history.window("5m", now)
    assert five["t"] == [now - 299_000 + n * 1000 for n in range(300)]


def test_since_gives_only_what_is_new() -> None:
    history = History()
    for second in range(10):
        history.add(T0 + second * 1000, Sample(waiting=second))
    newer = history.window("15m", T0 + 9000, T0 + 7000)
    assert newer["t"] == [T0 + 8000, T0 + 9000]
    assert newer["waiting"] == [8, 9]


def test_ten_seconds_are_one_sample_of_means_maxima_and_the_last_counts() -> None:
    history = History()
    for second in range(11):
        history.add(T0 + second * 1000, Sample(pushed=second, failed=second, wait_p99=second, waiting=second))
    hour = history.window("1h", T0 + 11_000)
    assert hour["step"] == 10_000
    assert hour["t"] == [T0 + 10_000]
    assert hour["pushed"] == [4.5]
    assert hour["failed"] == [9]
    assert hour["wait_p99"] == [9]
    assert hour["waiting"] == [9]


def test_ten_seconds_without_a_value_are_none() -> None:
    history = History()
    for second in range(11):
        history.add(T0 + second * 1000, Sample(waiting=0))
    assert history.window("6h", T0 + 11_000)["wait_p50"] == [None]
    assert history.window("6h", T0 + 11_000)["waiting"] == [0]


def test_a_gap_is_a_gap() -> None:
    history = History()
    history.add(T0, Sample(waiting=1))
    history.add(T0 + 60_000, Sample(waiting=2))
    assert history.window("5m", T0 + 60_000)["t"] == [T0, T0 + 60_000]


def test_a_clock_put_back_adds_nothing() -> None:
    history = History()
    history.add(T0, Sample(waiting=1))
    history.add(T0 - 5000, Sample(waiting=2))
    history.add(T0, Sample(waiting=3))
    assert history.window("5m", T0)["waiting"] == [1]


def test_six_hours_are_kept() -> None:
    history = History()
    for ten in range(TENS + 20):
        history.add(T0 + ten * 10_000, Sample(waiting=ten))
    assert len(history.window("6h", T0 + (TENS + 19) * 10_000)["t"]) == TENS


def test_every_window_has_every_column() -> None:
    assert set(History().window("15m", T0)) == {"step", "t", *COLUMNS}
    assert set(History().queue("q", T0)) == {"step", "t", *QUEUE_COLUMNS}


def test_a_queue_has_half_an_hour() -> None:
    history = History()
    for ten in range(QUEUE_TENS + 30):
        history.add_queues(T0 + ten * 10_000, [("q", queue_row(ten), True)])
    shown = history.queue("q", T0 + (QUEUE_TENS + 29) * 10_000)
    assert len(shown["t"]) == QUEUE_TENS
    assert shown["waiting"][-1] == QUEUE_TENS + 29
    assert history.queue("other", T0)["t"] == []


def test_of_too_many_queues_those_last_active_are_remembered() -> None:
    history = History()
    history.add_queues(T0, [(f"q{n}", queue_row(), True) for n in range(QUEUES)])
    history.add_queues(T0 + 10_000, [("q0", queue_row(1), True), ("idle", queue_row(1), False)])
    history.add_queues(T0 + 20_000, [("new", queue_row(1), True)])
    now = T0 + 20_000
    assert history.queue("new", now)["t"] == [now]
    assert history.queue("q0", now)["t"] != [], "it was active after the others"
    assert history.queue("q1", now)["t"] == [], "it was active longest ago"
    assert history.queue("idle", now)["t"] == [], "what is not active takes no other's place"


def test_spark_has_a_digit_a_minute_scaled_to_the_highest() -> None:
    history = History()
    assert history.spark("q", T0) == ""
    now = T0 + 30 * 60_000
    history.add_queues(now - 10 * 60_000, [("q", queue_row(10), True)])
    history.add_queues(now - 60_000, [("q", queue_row(35), True)])
    spark = history.spark("q", now)
    assert len(spark) == 30
    assert spark[20] == "a"
    assert spark[29] == "z"
    assert spark.strip() == "a        z"


def test_values_before_are_found_for_the_rules() -> None:
    history = History()
    history.add_queues(T0, [("q", queue_row(5, dead=2), True)])
    history.add_queues(T0 + 300_000, [("q", queue_row(9, dead=4), True)])
    assert history.queue_before("q", T0 + 299_999, "waiting") == 5
    assert history.queue_before("q", T0 + 299_999, "dead") == 2
    assert history.queue_before("q", T0 - 1, "waiting") is None
    assert history.queue_before("other", T0, "waiting") is None
