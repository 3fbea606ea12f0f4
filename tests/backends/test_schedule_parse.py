"""What is a schedule, what is not and what to write instead, and how it reads in words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.schedule import ScheduleError, parse


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("", "minute hour day month weekday"),
        ("0 3 * *", "minute hour day month weekday"),
        ("0 0 12 * * *", '"0 12 * * *"'),
        ("0 0 12 * * 1 2026", '"0 12 * * 1"'),
        ("60 * * * *", "full hour is minute 0"),
        ("0 24 * * *", "midnight is hour 0"),
        ("0 0 0 * *", "1 to 31"),
        ("0 0 * 13 *", "1 to 12"),
        ("0 0 * * 8", "0 to 7"),
        ("5/15 * * * *", "5-59/15"),
        ("* 22-2 * * *", "22-23,0-2"),
        ("* 23-0 * * *", "23,0"),
        ("0 0 * * fri-mon", "fri-7,mon"),
        ("0 0 * * 5-1", "5-7,1"),
        ("0 0 * * 5-0", "5-7"),
        ("0 0 * * 7-2", "7,1-2"),
        ("0 0 * nov-feb *", "nov-12,1-feb"),
        ("*/0 * * * *", "*/5"),
        ("*/x * * * *", "*/5"),
        ("1,,2 * * * *", "extra comma"),
        ("1- * * * *", "0 to 59"),
        ("1-2-3 * * * *", "0 to 59"),
        ("*5 * * * *", "stands alone"),
        ("0 0 ? * *", "write * instead"),
        ("0 0 L * *", "check the date"),
        ("0 0 LW * *", "check the date"),
        ("0 0 15W * *", "check the date"),
        ("0 0 * * 5L", "check the date"),
        ("0 0 * * 1#2", "check the date"),
        ("H * * * *", "jitter"),
        ("R * * * *", "jitter"),
        ("0~30 * * * *", "jitter"),
        ("0 0 * * monday", "write mon"),
        ("0 0 * * mno", "mon"),
        ("0 mon * * *", "the order is"),
        ("@dayly", "@daily"),
        ("@every 5m", "*/5"),
        ("CRON_TZ=Europe/Berlin 0 3 * * *", "timezone"),
        ("٣ * * * *", "ASCII"),
        ("0 3 * * *\0", "ASCII"),
        ("9" * 5000 + " * * * *", "ranges and steps"),
        ("99999999999999999999 * * * *", "0 to 59"),
    ],
)
def test_what_is_not_cron_gets_a_hint(expression: str, hint: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse(expression)
    assert hint in caught.value.remedy
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", [None, 5, b"* * * * *", ["*"]])
def test_other_types_are_schedule_errors_too(value: object) -> None:
    with pytest.raises(ScheduleError):
        parse(value)  # type: ignore[arg-type]
    with pytest.raises(ScheduleError):
        parse("@daily", value)  # type: ignore[arg-type]


@settings(max_examples=1500, deadline=None)
@given(
    st.one_of(
        st.text(max_size=40),
        st.text(alphabet="0123456789*/,-@# LWHRmonjafri~?%\t\n", max_size=40),
        st.lists(st.text(alphabet="0123456789*/,-moneyjanfri", min_size=1, max_size=8), min_size=5, max_size=5).map(
            " ".join
        ),
    )
)
def test_any_text_is_a_schedule_or_a_schedule_error_with_a_hint(text: str) -> None:
    caught = None
    try:
        said = parse(text).describe()
    except ScheduleError as error:
        caught, said = error, str(error)
    assert said
    assert "\n" not in said
    assert caught is None or caught.remedy


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_zone_or_a_schedule_error(text: str) -> None:
    remedy = "none needed"
    try:
        parse("@daily", text)
    except ScheduleError as error:
        remedy = error.remedy
    assert remedy


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Berlni", "'Europe/Berlin'"),
        ("europe/berlin", "'Europe/Berlin'"),
        ("Berlin", "'Europe/Berlin'"),
        ("New York", "'America/New_York'"),
        ("../../etc/passwd", "IANA"),
        ("", "IANA"),
    ],
)
def test_unknown_zone_names_the_nearest(zone: str, hint: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse("@daily", zone)
    assert hint in caught.value.remedy


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("@daily", "0 0 * * *"),
        ("@Hourly", "0 * * * *"),
        ("0 0 * * fri-sun", "0 0 * * 5-7"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 7-7", "0 0 * * sun"),
        ("0 0 * * SUN-sat", "0 0 * * 0-6"),
        ("5-5 * * * *", "5 * * * *"),
        ("0 0 * JAN-mar *", " 00\t0  *  1-3 * "),
        ("*/100 * * * *", "*/60 * * * *"),
    ],
)
def test_spellings_of_the_same_thing(one: str, same: str) -> None:
    assert parse(one).fields == parse(same).fields


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("0,30 * * * *", "Every 30 minutes"),
        ("*/25 * * * *", "At :00, :25 and :50 of every hour"),
        ("0-10,30 * * * *", "At :00 to :10 and :30 of every hour"),
        ("* 9 * * *", "Every minute from 09:00 to 09:59"),
        ("*/15 9-17 * * 1-5", "Every 15 minutes from 09:00 to 17:45, Monday to Friday"),
        ("*/30 1,5 * * *", "Every 30 minutes of the hours 01 and 05"),
        ("0 * * * *", "Every hour"),
        ("5 * * * *", "Every hour at :05"),
        ("0 */2 * * *", "Every 2 hours at :00"),
        ("0 */5 * * *", "At 00:00, 05:00, 10:00, 15:00 and 20:00, every day"),
        ("0 3 * * *", "At 03:00, every day"),
        ("0 3 * * 1-5", "At 03:00, Monday to Friday"),
        ("0 3 * * 1,3,5", "At 03:00, on Monday, Wednesday and Friday"),
        ("0 3 * * 6,0", "At 03:00, on Saturday and Sunday"),
        ("0 3 * * 5-7", "At 03:00, Friday to Sunday"),
        ("0 3 1 * *", "At 03:00, on day 1 of the month"),
        ("0 3 1,15 * *", "At 03:00, on days 1 and 15 of the month"),
        ("0 3 1-7 2 *", "At 03:00, on days 1 to 7 of the month in February"),
        ("0 0 29 2 *", "At 00:00, on 29 February"),
        ("0 0 * jun-aug *", "At 00:00, every day from June to August"),
        ("0 0 13 * 5", "At 00:00, on day 13 of the month or on Friday"),
        ("0 0 */2 * 1", "At 00:00, on odd days of the month, if it is Monday"),
        ("0 0 1-31 * 1", "At 00:00, every day"),
        ("0 9-17 * * *", "Every hour from 09:00 to 17:00"),
        ("0 0 31 4 *", "Never: no month of it has such a day"),
        ("@reboot", "When an engine starts"),
    ],
)
def test_plain_words(expression: str, words: str) -> None:
    assert parse(expression).describe() == words
