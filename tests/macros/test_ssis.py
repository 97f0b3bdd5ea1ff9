"""SSIS's functions as generated DAGs call them, in addition to the examples in the tests of expressions."""

from __future__ import annotations

import inspect
import time as clock
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.macros import ssis

STAMP = datetime.fromisoformat
naive_datetimes = st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2200-01-01"))
PARTS = ("year", "quarter", "month", "dayofyear", "day", "week", "weekday", "hour", "minute", "second", "millisecond")
NO_NULL = {"is_null", "replace_null", "logical_and", "logical_or", "token_count", "error_code", "local"}


@pytest.fixture
def tokyo(monkeypatch):
    """Set the time zone of this machine to Tokyo, nine hours ahead of UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        clock.tzset()
        yield
    clock.tzset()


@pytest.mark.parametrize("name", sorted(set(ssis.__all__) - NO_NULL - {"getdate", "getutcdate"}))
def test_null_arguments_yield_null(name):
    function = getattr(ssis, name)
    parameters = inspect.signature(function).parameters.values()
    count = 1 if name == "concatenate" else len(parameters)
    assert function(*[None] * count) is None


def test_every_function_is_documented():
    assert [name for name in ssis.__all__ if not inspect.getdoc(getattr(ssis, name))] == []


@given(st.text(), st.integers(1, 9), st.integers(0, 9))
def test_substring_equals_left_of_right(text, position, length):
    rest = ssis.right(text, max(len(text) - position + 1, 0))
    assert ssis.substring(text, position, length) == ssis.left(rest, length)


@given(st.text("ab, ;", max_size=20), st.sampled_from([",", ", ;", ""]))
def test_tokencount_is_the_number_of_tokens(text, delimiters):
    count = ssis.token_count(text, delimiters)
    tokens = [ssis.token(text, delimiters, number) for number in range(1, count + 1)]
    assert all(tokens)
    assert ssis.token(text, delimiters, count + 1) == ""
    assert not set("".join(tokens)) & set(delimiters)


@given(st.integers(), st.integers().filter(bool))
def test_quotient_and_remainder_yield_the_dividend(dividend, divisor):
    quotient, remainder = ssis.divide(dividend, divisor), ssis.modulo(dividend, divisor)
    assert quotient * divisor + remainder == dividend
    assert abs(remainder) < abs(divisor)
    assert remainder == 0 or (remainder < 0) == (dividend < 0)


@pytest.mark.parametrize(
    ("part", "number", "start", "result"),
    [
        ("month", 1, "2024-01-31", "2024-02-29"),
        ("m", -1, "2023-03-31", "2023-02-28"),
        ("quarter", 1, "2023-11-30 10:00", "2024-02-29 10:00"),
        ("yy", 1, "2024-02-29", "2025-02-28"),
        ("wk", -1, "2024-01-03", "2023-12-27"),
        ("dw", 2, "2024-01-03", "2024-01-05"),
        ("Hh", 25, "2024-01-03", "2024-01-04 01:00"),
        ("n", 1, "2024-01-03", "2024-01-03 00:01"),
        ("ms", -1, "2024-01-01", "2023-12-31 23:59:59.999"),
    ],
)
def test_dateadd(part, number, start, result):
    assert ssis.dateadd(part, number, STAMP(start)) == STAMP(result)


@pytest.mark.parametrize(
    ("part", "start", "end", "result"),
    [
        ("year", "2023-12-31 23:59:59", "2024-01-01", 1),
        ("year", "2024-01-01", "2024-12-31", 0),
        ("quarter", "2024-03-31", "2024-04-01", 1),
        ("month", "2024-01-31", "2024-03-01", 2),
        ("day", "2024-01-01 23:59", "2024-01-02 00:01", 1),
        ("week", "2024-01-06", "2024-01-07", 1),  # Saturday, Sunday
        ("week", "2024-01-07", "2024-01-13", 0),
        ("hour", "2024-01-01 10:59:59", "2024-01-01 11:00", 1),
        ("second", "2024-01-01 10:00:00.9", "2024-01-01 10:00:01", 1),
        ("ms", "2024-01-01", "2023-12-31 23:59:59", -1000),
    ],
)
def test_datediff_counts_boundaries(part, start, end, result):
    assert ssis.datediff(part, STAMP(start), STAMP(end)) == result


@given(st.sampled_from(PARTS), naive_datetimes, naive_datetimes)
def test_datediff_with_swapped_arguments_has_the_opposite_sign(part, start, end):
    assert ssis.datediff(part, start, end) == -ssis.datediff(part, end, start)


@given(st.sampled_from(PARTS), st.integers(-1000, 1000), naive_datetimes)
def test_datediff_returns_what_dateadd_added(part, number, start):
    assert ssis.datediff(part, start, ssis.dateadd(part, number, start)) == number


@pytest.mark.parametrize(
    ("part", "moment", "result"),
    [
        ("qq", "2024-04-01", 2),
        ("dy", "2024-12-31", 366),
        ("dw", "2024-01-07", 1),
        ("dw", "2024-01-06", 7),
        ("wk", "2024-01-01", 1),
        ("wk", "2024-01-06", 1),
        ("wk", "2024-01-07", 2),
        ("wk", "2024-12-31", 53),
        ("hh", "2024-01-01 23:00", 23),
        ("ms", "2024-01-01 23:00:00.129", 129),
    ],
)
def test_datepart(part, moment, result):
    assert ssis.datepart(part, STAMP(moment)) == result


def test_dates_without_a_time_are_at_midnight():
    assert ssis.dateadd("hour", 1, date(2024, 1, 1)) == STAMP("2024-01-01 01:00")
    assert ssis.datepart("hour", date(2024, 1, 1)) == 0


@pytest.mark.usefixtures("tokyo")
def test_getdate_is_local_and_getutcdate_is_not():
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    local, utc = ssis.getdate(), ssis.getutcdate()
    after = datetime.now(UTC)
    assert before <= local.astimezone(UTC) <= after
    assert before <= utc.replace(tzinfo=UTC) <= after
    assert round((local - utc) / timedelta(hours=1)) == 9
    assert local.microsecond % 1000 == utc.microsecond % 1000 == 0


@pytest.mark.usefixtures("tokyo")
def test_the_start_of_a_run_is_local_time():
    assert ssis.local(STAMP("2024-02-29T23:05:09.123456+00:00")) == STAMP("2024-03-01T08:05:09.123")


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-29 23:05:09",
        "2024-02-29T23:05:09",
        "2024/2/29 23:05:09",
        "2/29/2024 11:05:09 PM",
        "2-29-2024 11:05:09pm",
        " 2024-02-29  23:05:09.000 ",
    ],
)
def test_accepted_forms_of_a_timestamp(text):
    assert ssis.dt_dbtimestamp(text) == ssis.dt_date(text) == STAMP("2024-02-29 23:05:09")


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize("text", ["2024-02-29T23:05:09Z", "2024-02-29T23:05:09+00:00", "2024-03-01 01:05:09 +02:00"])
def test_a_timestamp_with_a_time_zone_becomes_local_time(text):
    local = STAMP("2024-03-01 08:05:09")
    assert ssis.dt_date(text) == ssis.dt_dbtimestamp(text) == local
    assert (ssis.dt_dbdate(text), ssis.dt_dbtime(text)) == (local.date(), local.time())
    assert ssis.dt_dbtimestampoffset(text, 0) == STAMP("2024-02-29T23:05:09+00:00")


def test_an_offset_becomes_utc():
    moment = ssis.dt_dbtimestampoffset("2024-03-01 01:05:09 +02:00", 0)
    assert ssis.dt_date(moment) == ssis.dt_dbtimestamp2(moment, 0) == STAMP("2024-02-29 23:05:09")
    assert (ssis.dt_dbdate(moment), ssis.dt_dbtime(moment)) == (date(2024, 2, 29), time(23, 5, 9))


@given(naive_datetimes)
def test_the_iso_text_of_a_param_is_its_date(moment):
    assert ssis.dt_dbtimestamp2(moment.isoformat(), 6) == moment
    assert ssis.dt_dbdate(moment.date().isoformat()) == moment.date()
    assert ssis.dt_dbtime(moment.isoformat()) == moment.time().replace(microsecond=0)


@given(naive_datetimes)
def test_a_timestamp_is_read_back_from_its_text(moment):
    milliseconds = ssis.dt_dbtimestamp(moment)
    assert ssis.dt_dbtimestamp(ssis.timestamp_text(milliseconds)) == milliseconds
    assert ssis.dt_filetime(ssis.filetime_text(milliseconds)) == milliseconds


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1000, max_value=1000))
def test_a_numeric_is_read_back_from_its_text(number):
    assert ssis.dt_numeric(ssis.numeric_text(number), 10, 3) == number


@pytest.mark.parametrize(
    ("number", "text"),
    [(Decimal("0.5"), ".5"), (Decimal("-0.05"), "-.05"), (Decimal(0), "0"), (Decimal("10.0"), "10.0")],
)
def test_a_numeric_has_no_zero_before_its_point(number, text):
    assert ssis.numeric_text(number) == text


def test_numbers_out_of_the_range_of_dt_numeric_are_an_error():
    digits = Decimal("9" * 38)
    with pytest.raises(OverflowError, match="39 digits"):
        ssis.add(digits, digits)
    with pytest.raises(OverflowError, match="does not fit"):
        ssis.exact(Decimal("1E38"))


@pytest.mark.parametrize(
    ("exception", "code"),
    [(OSError(28, "No space"), 28), (ValueError("x"), -1), (None, -1), ("text", -1)],
)
def test_the_error_code_is_the_number_in_the_exception(exception, code):
    assert ssis.error_code(exception) == code


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: ssis.replace("a" * 1000, "a", "b" * 10_000), "10,000,000 characters"),
        (lambda: ssis.concatenate("a" * 600_000, "b" * 600_000), "1,200,000 characters"),
        (lambda: ssis.token("a", "b", 0), "counts tokens from 1"),
        (lambda: ssis.find_string("a", "a", 0), "counts occurrences from 1"),
        (lambda: ssis.datepart("century", date(2024, 1, 1)), "unknown date part 'century'"),
        (lambda: ssis.dt_date(5), "it does not have the format"),
    ],
)
def test_an_impossible_computation_has_an_error_with_the_reason(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()


@pytest.mark.parametrize(
    ("left", "right", "conjunction", "disjunction"),
    [
        (True, True, True, True),
        (True, False, False, True),
        (False, False, False, False),
        (None, None, None, None),
        (None, True, None, True),
        (None, False, False, None),
    ],
)
def test_logical_operators_with_null_follow_three_valued_logic(left, right, conjunction, disjunction):
    assert ssis.logical_and(left, right) is ssis.logical_and(right, left) is conjunction
    assert ssis.logical_or(left, right) is ssis.logical_or(right, left) is disjunction


def test_a_time_is_set_on_a_date():
    assert ssis.on_date(time(1, 2, 3), STAMP("2024-05-06 07:08:09")) == STAMP("2024-05-06 01:02:03")
