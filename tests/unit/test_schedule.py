"""The rules of schedules: what is accepted, when it runs next, and what time zones and their clock changes do to it."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from mqfast.control.schedule import Schedule, ScheduleError

SECOND = 1000
DAY = 86_400 * SECOND
YEAR = 365 * DAY
START = 1_800_000_000_000  # 2027-01-15 08:00:00 UTC, a Friday
END_OF_9999 = 253_402_300_799_999
MINUTE = timedelta(minutes=1)


def ms(text: str) -> int:
    """The time of an ISO text with its offset from UTC."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def walk(schedule: Schedule, after_ms: int, anchor_ms: int = 0) -> Iterator[int]:
    while True:
        after_ms = schedule.next(after_ms, anchor_ms)
        yield after_ms


def runs(text: str, after: str, count: int, timezone: str = "UTC") -> list[str]:
    """The next times to run after one, as the clock in the time zone and its offset show them."""
    times = walk(Schedule.parse(text, timezone), ms(after))
    zone = ZoneInfo(timezone)
    return [datetime.fromtimestamp(next(times) // SECOND, zone).isoformat() for _ in range(count)]


def refused(text: str, timezone: str = "UTC") -> str:
    """With what a schedule is refused: one line for a client, to which the caller puts the prefix."""
    with pytest.raises(ScheduleError) as caught:
        Schedule.parse(text, timezone)
    said = str(caught.value)
    assert said.isprintable() and 10 < len(said) < 250
    assert not said.lower().startswith(("invalid", "error"))
    return said


# Every N seconds


def test_every_n_seconds_counts_from_the_anchor() -> None:
    assert Schedule.parse("*/1").next(START, START) == START + SECOND
    assert Schedule.parse("*/31536000").next(START, START) == START + YEAR
    schedule = Schedule.parse("*/90")
    anchor = START + 123
    assert schedule.next(anchor, anchor) == anchor + 90 * SECOND
    assert schedule.next(anchor + 90 * SECOND - 1, anchor) == anchor + 90 * SECOND
    assert schedule.next(anchor + 90 * SECOND, anchor) == anchor + 180 * SECOND


def test_every_n_seconds_never_runs_at_the_anchor_or_before_it() -> None:
    schedule = Schedule.parse("*/60")
    for after in (START - 1, START - 10 * YEAR, 0, -1):
        assert schedule.next(after, START) == START + 60 * SECOND


@pytest.mark.parametrize("text", ["*/7", "  */7", "*/7  ", " */7 ", "*/07"])
def test_every_n_seconds_may_have_spaces_around(text: str) -> None:
    assert Schedule.parse(text).next(START, START) == START + 7 * SECOND


def test_every_n_seconds_does_not_know_time_zones() -> None:
    schedule = Schedule.parse("*/3600", "America/New_York")
    gap = ms("2026-03-08T07:00:00Z")
    assert [schedule.next(gap + n, gap - DAY) for n in (-1, 0)] == [gap, gap + 3600 * SECOND]


def test_every_n_seconds_does_not_drift_over_a_year() -> None:
    anchor = START + 789
    times = walk(Schedule.parse("*/1237"), anchor, anchor)
    for k in range(1, YEAR // (1237 * SECOND) + 1):
        assert next(times) == anchor + k * 1237 * SECOND


@given(n=st.integers(1, 31_536_000), anchor=st.integers(0, START), late=st.integers(0, 100 * YEAR))
@settings(deadline=None)
def test_every_n_seconds_is_the_first_of_its_times(n: int, anchor: int, late: int) -> None:
    at = Schedule.parse("*/%d" % n).next(anchor + late, anchor)
    assert (at - anchor) % (n * SECOND) == 0
    assert 0 < at - (anchor + late) <= n * SECOND


@pytest.mark.parametrize(
    "text", ["*/0", "*/31536001", "*/00", "*/", "*/x", "*/-5", "*/+5", "*/1.5", "*/1_0", "*/5s", "*/" + "9" * 200]
)
def test_every_n_seconds_wants_seconds_up_to_a_year(text: str) -> None:
    assert "1 to 31536000" in refused(text)


# Fields


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", ["2027-01-15T08:01:00", "2027-01-15T08:02:00"]),
        ("*/5 * * * *", ["2027-01-15T08:05:00", "2027-01-15T08:10:00"]),
        ("5 4 * * *", ["2027-01-16T04:05:00", "2027-01-17T04:05:00"]),
        ("  5   4  *  * *  ", ["2027-01-16T04:05:00", "2027-01-17T04:05:00"]),
        ("0,30 8-10 * * *", ["2027-01-15T08:30:00", "2027-01-15T09:00:00", "2027-01-15T09:30:00"]),
        ("10-50/20 9 * * *", ["2027-01-15T09:10:00", "2027-01-15T09:30:00", "2027-01-15T09:50:00"]),
        ("0 0 1 * *", ["2027-02-01T00:00:00", "2027-03-01T00:00:00"]),
        ("0 0 31 * *", ["2027-01-31T00:00:00", "2027-03-31T00:00:00", "2027-05-31T00:00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
        ("0 0 1 JAN *", ["2028-01-01T00:00:00", "2029-01-01T00:00:00"]),
        ("0 0 1 jan,Jul *", ["2027-07-01T00:00:00", "2028-01-01T00:00:00"]),
        ("0 0 * * MON", ["2027-01-18T00:00:00", "2027-01-25T00:00:00"]),
        ("0 9 * * mon-Fri", ["2027-01-15T09:00:00", "2027-01-18T09:00:00"]),
        ("30 * * * * *", ["2027-01-15T08:00:30", "2027-01-15T08:01:30"]),
        ("*/20 0 8 * * *", ["2027-01-15T08:00:20", "2027-01-15T08:00:40", "2027-01-16T08:00:00"]),
        ("* * * * * *", ["2027-01-15T08:00:01", "2027-01-15T08:00:02"]),
    ],
)
def test_fields(text: str, expected: list[str]) -> None:
    assert runs(text, "2027-01-15T08:00:00Z", len(expected)) == [time + "+00:00" for time in expected]


@pytest.mark.parametrize("sunday", ["0", "7", "SUN", "sun"])
def test_sunday_is_zero_or_seven(sunday: str) -> None:
    assert runs("0 0 * * " + sunday, "2027-01-15T08:00:00Z", 2) == [
        "2027-01-17T00:00:00+00:00",
        "2027-01-24T00:00:00+00:00",
    ]
    assert runs("0 0 * * 6-7", "2027-01-16T00:00:00Z", 1) == ["2027-01-17T00:00:00+00:00"]


def test_day_of_month_and_day_of_week_both_given_either_suffices() -> None:
    assert runs("0 0 18,20 * FRI", "2027-01-15T08:00:00Z", 4) == [
        "2027-01-18T00:00:00+00:00",
        "2027-01-20T00:00:00+00:00",
        "2027-01-22T00:00:00+00:00",
        "2027-01-29T00:00:00+00:00",
    ]
    # The 30th of February is no day, but Fridays are.
    assert runs("0 0 30 2 FRI", "2027-01-15T08:00:00Z", 1) == ["2027-02-05T00:00:00+00:00"]


def test_a_day_field_that_starts_with_a_star_restricts_the_other_as_in_classic_cron() -> None:
    assert runs("0 0 */2 * MON", "2027-01-15T08:00:00Z", 2) == [
        "2027-01-25T00:00:00+00:00",
        "2027-02-01T00:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("names", "same"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily @midnight @Daily @DAILY", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly @annually", "0 0 1 1 *"),
    ],
)
def test_names(names: str, same: str) -> None:
    after = "2027-03-05T06:07:08Z"
    for name in names.split():
        assert runs(" %s " % name, after, 3, "Asia/Kathmandu") == runs(same, after, 3, "Asia/Kathmandu")


def test_the_answer_is_strictly_after_to_the_millisecond() -> None:
    schedule = Schedule.parse("*/5 * * * *")
    slot = ms("2027-01-15T08:05:00Z")
    assert schedule.next(slot - 1, 0) == slot
    assert schedule.next(slot, 0) == slot + 300 * SECOND
    assert schedule.next(slot + 1, 0) == slot + 300 * SECOND


def test_fields_ignore_the_anchor() -> None:
    schedule = Schedule.parse("0 0 * * *")
    assert len({schedule.next(START, anchor) for anchor in (-5, 0, START, START + YEAR, 10**30)}) == 1


# Refusals


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("%s * * * *", "minute", "60 -1 */0 1-5/0 */61 */99999999999999999999 99999999999999999999 10-5 1,,2 , 1, 5-"),
        ("%s * * * *", "minute", "** *-5 ? 1.5 1_0 */ */2/2 MON L"),
        ("* %s * * *", "hour", "24 */25 5pm 23-24 22-2"),
        ("* * %s * *", "day-of-month", "0 32 31-32 L/2 LW/2 1W 1-L */32"),
        ("* * %s 2 *", "day-of-month", "32 0"),
        ("* * * %s *", "month", "0 13 JANUARY DEC-JAN MON */13"),
        ("* * * * %s", "day-of-week", "8 */8 FRI-MON MONDAY MON#6 MON#0 L JAN"),
        ("%s * * * * *", "second", "60 */61"),
        ("* %s * * * *", "minute", "60 */61"),
    ],
)
def test_a_bad_field_is_named(text: str, field: str, words: str) -> None:
    for word in words.split():
        said = refused(text % word)
        assert said.startswith("bad %s: use" % field), word


@pytest.mark.parametrize(
    "text",
    ["", " ", "*", "5", "every minute", "* * * *", "* * * * * * *", "1 2 3", "* /5", "*/5 *", "daily", "* * @daily"],
)
def test_a_wrong_number_of_fields_is_refused(text: str) -> None:
    said = refused(text)
    assert "5 fields" in said and "6 with seconds first" in said and "*/N" in said


@pytest.mark.parametrize("text", ["@", "@dayly", "@every 5m", "@daily 5", "@daily @daily", "@ daily"])
def test_unknown_names_are_refused_with_the_known_ones(text: str) -> None:
    said = refused(text)
    assert "@hourly" in said and "@daily" in said


@pytest.mark.parametrize("text", ["@reboot", "@REBOOT", " @reboot"])
def test_reboot_is_refused_clearly(text: str) -> None:
    assert "@reboot is not supported" in refused(text)


@pytest.mark.parametrize(
    "text",
    ["0 0 30 2 *", "0 0 30,31 2 *", "0 0 31 4,6,9,11 *", "* * * 31 JUN *", "0 0 */30 2 SUN#5", "0 0 31 FEB *"],
)
def test_what_never_runs_is_refused(text: str) -> None:
    assert "never runs" in refused(text)


def test_what_runs_once_in_decades_is_not_refused() -> None:
    # A fifth Monday of February is a 29th, and 2100 has none.
    assert runs("0 0 * 2 MON#5", "2027-01-15T08:00:00Z", 3) == [
        "2044-02-29T00:00:00+00:00",
        "2072-02-29T00:00:00+00:00",
        "2112-02-29T00:00:00+00:00",
    ]


@pytest.mark.parametrize("blank", ["\t", "\n", "\0", "\x7f", "\xa0", "\u3000"])
@pytest.mark.parametrize("text", ["0%s0 * * *", "0 0 * * *%s", "*/5%s", "%s@daily", "%s"])
def test_control_and_other_characters_are_refused(text: str, blank: str) -> None:
    assert "ASCII" in refused(text % blank)


@pytest.mark.parametrize("text", ["\u0663 0 * * *", "*/\uff15", "0 0 * * \u017fUN"])
def test_other_digits_and_letters_are_refused(text: str) -> None:
    assert "ASCII" in refused(text)


def test_long_texts_are_refused() -> None:
    assert Schedule.parse("0 0 * * *".ljust(256)).next(START, 0) == ms("2027-01-16T00:00:00Z")
    assert "256" in refused("0 0 * * *".ljust(257))
    assert "256" in refused("*/" + "1" * 1_000_000)


@pytest.mark.parametrize(
    "timezones",
    [
        "Mars/Olympus utc europe/berlin Europe Europe/ Europe//Berlin +02:00 UTC+2 CET-1CEST,M3.5.0,M10.5.0/3",
        "../x ../Europe/Berlin Europe/../Europe/Berlin ./UTC /Europe/Berlin /etc/localtime /usr/share/zoneinfo/UTC",
        "localtime posixrules posix/UTC right/UTC zone.tab tzdata.zi Europe/B\u00e9rlin Europe/Berlin\0",
    ],
)
def test_what_is_no_time_zone_is_refused(timezones: str) -> None:
    for timezone in [*timezones.split(), "", " ", " Europe/Berlin", "Europe/Berlin\n", "x" * 1_000_000, "a/" * 100_000]:
        for text in ("0 0 * * *", "*/5"):
            said = refused(text, timezone)
            assert "timezone" in said and "Europe/Berlin" in said


@given(
    text=st.one_of(st.text(max_size=40), st.text(alphabet="0123456789*/-,#LW MON@", max_size=24)),
    timezone=st.one_of(st.just("UTC"), st.text(max_size=20)),
)
@settings(deadline=None, max_examples=200)
def test_any_text_is_a_schedule_or_refused(text: str, timezone: str) -> None:
    try:
        schedule = Schedule.parse(text, timezone)
    except ScheduleError:
        return
    assert schedule.next(START, START) > START


# Values


def test_a_schedule_does_not_change() -> None:
    schedule = Schedule.parse("0 0 * * *", "Europe/Berlin")
    assert (schedule.text, schedule.timezone) == ("0 0 * * *", "Europe/Berlin")
    for name in ("text", "timezone", "other"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(schedule, name, "x")


def test_parse_remembers_some_schedules_and_not_all() -> None:
    first = Schedule.parse("*/86399", "Asia/Tokyo")
    assert Schedule.parse("*/86399", "Asia/Tokyo") is first
    assert Schedule.parse("*/86399") != first
    for n in range(1, 10_000):
        Schedule.parse("*/%d" % n)
    again = Schedule.parse("*/86399", "Asia/Tokyo")
    assert again is not first
    assert again == first


# Clock changes: a zone and what its clock does; a schedule | after when | the next times to run, by that clock
CLOCK_CHANGES = """
[America/New_York] spring: 02:00 -05:00 becomes 03:00 -04:00
30 2 * * *      | 2026-03-07T02:30-05:00 | 2026-03-08T03:00-04:00 2026-03-09T02:30-04:00
0 2 * * *       | 2026-03-08T01:59:59-05:00 | 2026-03-08T03:00-04:00 2026-03-09T02:00-04:00
0 3 * * *       | 2026-03-07T03:00-05:00 | 2026-03-08T03:00-04:00 2026-03-09T03:00-04:00
*/15 * * * *    | 2026-03-08T01:30-05:00 | 2026-03-08T01:45-05:00 2026-03-08T03:00-04:00 2026-03-08T03:15-04:00
20,40 2,3 * * * | 2026-03-08T01:45-05:00 | 2026-03-08T03:00-04:00 2026-03-08T03:20-04:00 2026-03-08T03:40-04:00
* * * * * *     | 2026-03-08T01:59:58-05:00 | 2026-03-08T01:59:59-05:00 2026-03-08T03:00-04:00 2026-03-08T03:00:01-04:00
[America/New_York] autumn: 02:00 -04:00 becomes 01:00 -05:00
30 1 * * *      | 2026-10-31T01:30-04:00 | 2026-11-01T01:30-04:00 2026-11-02T01:30-05:00
0 1 * * *       | 2026-11-01T00:59:59-04:00 | 2026-11-01T01:00-04:00 2026-11-02T01:00-05:00
0 2 * * *       | 2026-11-01T00:00-04:00 | 2026-11-01T02:00-05:00 2026-11-02T02:00-05:00
*/15 * * * *    | 2026-11-01T01:30-04:00 | 2026-11-01T01:45-04:00 2026-11-01T02:00-05:00 2026-11-01T02:15-05:00
*/15 * * * *    | 2026-11-01T01:20-05:00 | 2026-11-01T02:00-05:00
30 1 * * *      | 2026-11-01T01:20-05:00 | 2026-11-02T01:30-05:00
* * * * * *     | 2026-11-01T01:59:58-04:00 | 2026-11-01T01:59:59-04:00 2026-11-01T02:00-05:00
* * * * * *     | 2026-11-01T01:59:59-05:00 | 2026-11-01T02:00-05:00
[Europe/Berlin] spring: 02:00 +01:00 becomes 03:00 +02:00
30 2 * * *      | 2026-03-28T02:30+01:00 | 2026-03-29T03:00+02:00 2026-03-30T02:30+02:00
0 * * * *       | 2026-03-29T00:00+01:00 | 2026-03-29T01:00+01:00 2026-03-29T03:00+02:00 2026-03-29T04:00+02:00
15,45 2 29 3 *  | 2026-01-01T00:00+01:00 | 2026-03-29T03:00+02:00 2027-03-29T02:15+02:00
[Europe/Berlin] autumn: 03:00 +02:00 becomes 02:00 +01:00
30 2 * * *      | 2026-10-24T02:30+02:00 | 2026-10-25T02:30+02:00 2026-10-26T02:30+01:00
0 * * * *       | 2026-10-25T01:00+02:00 | 2026-10-25T02:00+02:00 2026-10-25T03:00+01:00
@daily          | 2026-10-24T00:00+02:00 | 2026-10-25T00:00+02:00 2026-10-26T00:00+01:00
[Australia/Lord_Howe] spring: 02:00 +10:30 becomes 02:30 +11:00
15 2 * * *      | 2026-10-03T02:15+10:30 | 2026-10-04T02:30+11:00 2026-10-05T02:15+11:00
*/10 * * * *    | 2026-10-04T01:50+10:30 | 2026-10-04T02:30+11:00 2026-10-04T02:40+11:00
45 2 * * *      | 2026-10-03T02:45+10:30 | 2026-10-04T02:45+11:00
[Australia/Lord_Howe] autumn: 02:00 +11:00 becomes 01:30 +10:30
45 1 * * *      | 2026-04-04T01:45+11:00 | 2026-04-05T01:45+11:00 2026-04-06T01:45+10:30
*/10 * * * *    | 2026-04-05T01:40+11:00 | 2026-04-05T01:50+11:00 2026-04-05T02:00+10:30
*/10 * * * *    | 2026-04-05T01:35+10:30 | 2026-04-05T02:00+10:30
[Pacific/Apia] no 30 December 2011, a Friday: 24:00 -10:00 of the 29th became 00:00 +14:00 of the 31st
0 12 * * *      | 2011-12-29T12:00-10:00 | 2011-12-31T00:00+14:00 2011-12-31T12:00+14:00
0 * * * *       | 2011-12-29T22:00-10:00 | 2011-12-29T23:00-10:00 2011-12-31T00:00+14:00 2011-12-31T01:00+14:00
@daily          | 2011-12-29T00:00-10:00 | 2011-12-31T00:00+14:00 2012-01-01T00:00+14:00
0 8 30 12 *     | 2011-01-01T00:00-11:00 | 2011-12-31T00:00+14:00 2012-12-30T08:00+14:00
0 8 * * FRI     | 2011-12-29T00:00-10:00 | 2011-12-31T00:00+14:00 2012-01-06T08:00+14:00
[Europe/Dublin] winter is the exception by law: 01:00 +00:00 becomes 02:00 +01:00, and back
30 1 * * *      | 2026-03-28T01:30+00:00 | 2026-03-29T02:00+01:00 2026-03-30T01:30+01:00
30 1 * * *      | 2026-10-24T01:30+01:00 | 2026-10-25T01:30+01:00 2026-10-26T01:30+00:00
[Antarctica/Troll] two hours: 01:00 +00:00 becomes 03:00 +02:00, and back
30 1,2 * * *    | 2026-03-28T12:00+00:00 | 2026-03-29T03:00+02:00 2026-03-30T01:30+02:00
30 1,2 * * *    | 2026-10-24T12:00+02:00 | 2026-10-25T01:30+02:00 2026-10-25T02:30+02:00 2026-10-26T01:30+00:00
[America/Sao_Paulo] no midnight when summer came, and its last hour of the day twice when it went
@daily          | 2018-11-03T00:00-03:00 | 2018-11-04T01:00-02:00 2018-11-05T00:00-02:00
@daily          | 2019-02-16T12:00-02:00 | 2019-02-17T00:00-03:00 2019-02-18T00:00-03:00
30 23 * * *     | 2019-02-16T12:00-02:00 | 2019-02-16T23:30-02:00 2019-02-17T23:30-03:00
[Asia/Kathmandu] no changes, and an odd offset
0 0 * * *       | 2026-03-28T12:00+00:00 | 2026-03-29T00:00+05:45 2026-03-30T00:00+05:45
[Africa/Monrovia] kept the seconds of its sun's time until 1972: 00:00:00 -00:44:30 became 00:44:30 +00:00
0 12 * * *      | 1971-01-01T00:00+00:00 | 1971-01-01T12:00-00:44:30
*/20 * * * *    | 1972-01-06T23:30-00:44:30 | 1972-01-06T23:40-00:44:30 1972-01-07T00:44:30+00:00
[Europe/Berlin] far after the last change that is written down, the rule goes on
30 2 * * *      | 2300-03-24T12:00+01:00 | 2300-03-25T03:00+02:00 2300-03-26T02:30+02:00
"""


def clock_changes() -> Iterator[tuple[str, str, str, list[str]]]:
    timezone = ""
    for line in CLOCK_CHANGES.strip().splitlines():
        if line.startswith("["):
            timezone = line[1 : line.index("]")]
        else:
            text, after, expected = line.split(" | ")
            yield timezone, text.strip(), after, expected.split()


@pytest.mark.parametrize(("timezone", "text", "after", "expected"), list(clock_changes()))
def test_clock_changes(timezone: str, text: str, after: str, expected: list[str]) -> None:
    times = [datetime.fromisoformat(time).isoformat() for time in expected]  # with their seconds
    assert runs(text, after, len(times), timezone) == times


CHANGES = [
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("Europe/Dublin", "2026-03-29T01:00:00Z"),
    ("Europe/Dublin", "2026-10-25T01:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("Antarctica/Troll", "2026-03-29T01:00:00Z"),
    ("Antarctica/Troll", "2026-10-25T01:00:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("America/Sao_Paulo", "2019-02-17T02:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Pacific/Kwajalein", "1993-08-21T12:00:00Z"),
    ("Asia/Pyongyang", "2015-08-14T15:00:00Z"),
    ("America/Caracas", "2016-05-01T07:00:00Z"),
]


def shown(minutes: set[int], hours: set[int], zone: ZoneInfo, start: datetime, end: datetime) -> list[int]:
    """The model: look at the clock each minute, and run if it has passed a slot it had not passed before."""
    times: list[int] = []
    furthest = start.astimezone(zone).replace(tzinfo=None, fold=0)
    while start < end:
        start += MINUTE
        clock = start.astimezone(zone).replace(tzinfo=None, fold=0)
        due = False
        while furthest < clock:
            furthest += MINUTE
            due = due or (furthest.minute in minutes and furthest.hour in hours)
        if due:
            times.append(int(start.timestamp()) * SECOND)
    return times


@given(
    change=st.sampled_from(CHANGES),
    minutes=st.one_of(st.sets(st.integers(0, 59), min_size=1, max_size=40), st.just(set(range(0, 60, 5)))),
    hours=st.sets(st.one_of(st.integers(0, 4), st.integers(0, 23)), min_size=1),
    before=st.integers(0, 150),
)
@settings(deadline=None)
def test_clock_changes_are_those_of_someone_who_looks_at_the_clock(
    change: tuple[str, str], minutes: set[int], hours: set[int], before: int
) -> None:
    timezone, moment = change
    middle = datetime.fromisoformat(moment)
    start, end = middle - before * MINUTE, middle + 240 * MINUTE
    assume(start.astimezone(ZoneInfo(timezone)).fold == 0)
    expected = shown(minutes, hours, ZoneInfo(timezone), start, end)
    text = "%s %s * * *" % (",".join(map(str, minutes)), ",".join(map(str, hours)))
    times = walk(Schedule.parse(text, timezone), int(start.timestamp()) * SECOND)
    got = []
    while (at := next(times)) <= int(end.timestamp()) * SECOND:
        got.append(at)
    assert got == expected


# Properties of all


def one_field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    between = st.tuples(number, number).map(lambda pair: "%d-%d" % (min(pair), max(pair)))
    step = st.tuples(st.one_of(st.just("*"), between), st.integers(1, high)).map(lambda pair: "%s/%d" % pair)
    term = st.one_of(number.map(str), between, step)
    return st.one_of(st.just("*"), term, st.lists(term, min_size=2, max_size=3).map(",".join))


EXPRESSIONS = st.one_of(
    st.tuples(one_field(0, 59), one_field(0, 23), one_field(1, 31), one_field(1, 12), one_field(0, 7)),
    st.tuples(one_field(0, 59), one_field(0, 59), one_field(0, 23), one_field(1, 31), one_field(1, 12), st.just("*")),
    st.tuples(one_field(0, 59), st.sampled_from(["*", "0-3", "2"]), st.just("*"), st.just("*"), st.just("*")),
).map(" ".join)
ZONES = st.sampled_from(["UTC", "Asia/Kathmandu", *{zone for zone, _ in CHANGES}])
NEAR_CHANGES = st.tuples(st.sampled_from(CHANGES), st.integers(-DAY, DAY)).map(lambda both: ms(both[0][1]) + both[1])
TIMES = st.one_of(st.integers(0, ms("2150-01-01T00:00:00Z")), NEAR_CHANGES)


def parsed(text: str, timezone: str) -> Schedule:
    try:
        return Schedule.parse(text, timezone)
    except ScheduleError as error:
        assert "never runs" in str(error)
        reject()


@given(text=EXPRESSIONS, timezone=ZONES, after=TIMES)
@settings(deadline=None)
def test_times_strictly_increase_and_none_comes_twice(text: str, timezone: str, after: int) -> None:
    times = walk(parsed(text, timezone), after)
    chain = [after, *(next(times) for _ in range(8))]
    assert all(earlier < later for earlier, later in pairwise(chain))
    assert all(at % SECOND == 0 for at in chain[1:])


@given(text=EXPRESSIONS, timezone=ZONES, after=TIMES, data=st.data())
@settings(deadline=None)
def test_the_next_time_is_the_same_from_anywhere_before_it(
    text: str, timezone: str, after: int, data: st.DataObject
) -> None:
    schedule = parsed(text, timezone)
    at = schedule.next(after, 0)
    assert schedule.next(at - 1, 0) == at
    assert schedule.next(data.draw(st.integers(after, at - 1)), 0) == at
    assert schedule.next(at, 0) > at


# The ends of time


@pytest.mark.parametrize("after", [-1, -2, -999, -1001, -YEAR, -(10**15), -(2**63), -(10**40)])
@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_before_1970_is_the_end_of_1969(after: int, timezone: str) -> None:
    assert Schedule.parse("* * * * *", timezone).next(after, 0) == 0
    assert Schedule.parse("*/7", timezone).next(after, 0) == 7 * SECOND
    assert Schedule.parse("*/7", timezone).next(after, -1) == 7 * SECOND - 1


@pytest.mark.parametrize("text", ["* * * * *", "0 0 29 2 *", "@yearly", "*/7", "* * * * * *", "59 59 23 31 12 *"])
@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_after_the_year_9999_there_is_no_time(text: str, timezone: str) -> None:
    schedule = Schedule.parse(text, timezone)
    for after in (END_OF_9999, END_OF_9999 + 1, END_OF_9999 + DAY, 2**63, 10**40):
        with pytest.raises(ScheduleError, match="10000"):
            schedule.next(after, START)


def test_the_last_times_of_the_year_9999() -> None:
    last = END_OF_9999 + 1 - SECOND
    assert Schedule.parse("* * * * * *").next(last - 1, 0) == last
    assert Schedule.parse("*/1").next(last - 1, 0) == last
    with pytest.raises(ScheduleError, match="10000"):
        Schedule.parse("*/31536000").next(last, last)


@given(text=EXPRESSIONS, timezone=ZONES, before_end=st.integers(-DAY, 2 * DAY))
@settings(deadline=None, max_examples=50)
def test_near_the_end_there_is_a_time_or_an_error(text: str, timezone: str, before_end: int) -> None:
    schedule = parsed(text, timezone)
    after = END_OF_9999 - before_end
    try:
        assert after < schedule.next(after, 0) <= END_OF_9999
    except ScheduleError as error:
        assert "10000" in str(error)


# Machines


def test_time_zones_come_with_a_package_where_the_system_has_none() -> None:
    code = (
        "import zoneinfo; zoneinfo.reset_tzpath(to=()); from mqfast.control.schedule import Schedule;"
        "print(Schedule.parse('30 2 * * *', 'Europe/Berlin').next(%d, 0))" % ms("2026-03-28T12:00:00Z")
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == ms("2026-03-29T01:00:00Z")
