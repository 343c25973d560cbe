"""The command line's parts that need no daemon: text for terminals, JSON kept verbatim, charts, histograms."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqfast.cli.chart import area, bar
from mqfast.cli.errors import InputError
from mqfast.cli.histogram import Histogram
from mqfast.cli.text import (
    clean,
    clean_json,
    parse_duration,
    parse_rate,
    show_ago,
    show_bytes,
    show_count,
    show_duration,
)
from mqfast.cli.verbatim import Raw, dumps, loads, previewed


@pytest.mark.parametrize(
    ("text", "ms"), [("250", 250), ("1.5s", 1500), ("10 m", 600_000), ("2H", 7_200_000), ("1d", 86_400_000), ("0ms", 0)]
)
def test_durations_are_read(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize("text", ["", "s", "-1s", "1w", "1e3", "soon", "1.s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


def test_rates_are_read() -> None:
    assert [parse_rate(text) for text in ("100/s", "5/10m", "7", "1/h")] == [
        (100, 1000),
        (5, 600_000),
        (7, 1000),
        (1, 3_600_000),
    ]
    for text in ("fast", "/s", "1/x", "1.5/s"):
        with pytest.raises(InputError):
            parse_rate(text)


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0, "0ms"),
        (999, "999ms"),
        (1500, "1.5s"),
        (12_000, "12s"),
        (200_000, "3m20s"),
        (3_600_000, "1h"),
        (180_000_000, "2d2h"),
    ],
)
def test_durations_are_shown(ms: int, shown: str) -> None:
    assert show_duration(ms) == shown


def test_counts_bytes_and_instants_are_shown() -> None:
    assert [show_count(n) for n in (0, 9999, 10_000, 56_700, 1_234_567, 5e9)] == [
        "0",
        "9,999",
        "10.0k",
        "56.7k",
        "1.23M",
        "5.00G",
    ]
    assert [show_bytes(n) for n in (812, 1300, 1 << 40)] == ["812 B", "1.3 KiB", "1.0 TiB"]
    assert [show_ago(ms, 10_000) for ms in (None, 0, 5000, 12_000)] == ["-", "-", "5s ago", "in 2s"]


@given(st.text(st.characters()))
def test_cleaned_text_has_nothing_that_acts_and_json_means_the_same(text: str) -> None:
    for shown in (clean(text), clean_json(json.dumps(text, ensure_ascii=False))):
        assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in shown)
        assert not set(shown) & set("\u202a\u202e\u2066\u2069\u200f\ufeff")
    assert json.loads(clean_json(json.dumps(text, ensure_ascii=False))) == text


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_JSON, st.sampled_from([None, 0, 1, "\t"]))
def test_payloads_stay_as_they_were_written(payload: object, indent: int | str | None) -> None:
    text = json.dumps(payload, indent=indent)
    answer = loads('{"ok" : true, "jobs":[ {"id":1,"data": %s ,"x":[1]}, {} ],"result":%s}' % (text, text))
    assert answer["jobs"][0]["data"] == answer["result"] == text
    assert answer["jobs"][0]["x"] == [1]
    assert dumps(answer["jobs"][0]) == '{"id":1,"data":%s,"x":[1]}' % text
    assert json.loads(Raw.parse(text)) == payload and "\n" not in Raw.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"a"}', '{"a":1,}', '{"a":1} x', "{a:1}", '{"data":nope}', '{"job":[', "nul", '{"jobs":[1]}'],
)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        loads(text)


@pytest.mark.parametrize("text", ["", "NaN", "1 2", "01", '"\n"', "'a'", "[" * 100_000, '"\ud800"'])
def test_what_is_no_json_is_no_payload(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Raw.parse(text)


def test_previews_are_marked_when_they_are_not_all() -> None:
    assert previewed({"data": Raw('"[1,2"'), "data_size": 9})["data"] == "[1,2…"
    assert previewed({"data": Raw('"[1]"'), "data_size": 3})["data"] == "[1]"


def test_area_reaches_the_top_at_its_highest_and_leaves_gaps() -> None:
    assert area([0, 4, None, 8], 5, 2) == ["    █", "  █ █"]
    assert area([1, 1000], 2, 1) == ["▁█"]
    assert area([], 3, 2) == ["   ", "   "]
    assert area([0, 0], 2, 1) == ["  "]


def test_bar_is_as_long_as_its_share() -> None:
    assert [bar(value, 4, 4) for value in (0, 0.001, 1, 1.5, 4, 9)] == ["", "▏", "█", "█▌", "████", "████"]


def test_histogram_is_right_to_a_thirty_second() -> None:
    numbers = random.Random(7)
    values = sorted(int(numbers.lognormvariate(11, 2)) for _ in range(5000))
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for thousandths in (10, 500, 900, 990, 999):
        exact = values[len(values) * thousandths // 1000 - 1]
        assert exact <= histogram.percentile(thousandths / 10) <= exact * (1 + 1 / 32) + 1
    assert histogram.percentile(100) == histogram.highest == values[-1]
    assert histogram.mean == pytest.approx(sum(values) / len(values))
    spread = histogram.spread(12)
    assert len(spread) <= 12 and sum(count for _, count in spread) == 5000
    assert [upper for upper, _ in spread] == sorted(upper for upper, _ in spread)
    assert Histogram().percentile(50) == 0 and Histogram().spread(5) == []
