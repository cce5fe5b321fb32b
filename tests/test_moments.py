"""Moments: exact as a number, and in a column what SQLAlchemy's own types would hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.metadata import UTCDateTime
from twofold.moments import microseconds, moment_at

SQLITE, POSTGRESQL = (sa.create_engine(f"{name}://").dialect for name in ("sqlite", "postgresql+psycopg"))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
# A day from either end, so that every zone still has a year for it.
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=zones)  # noqa: DTZ001 -- Given a zone.


@settings(deadline=None)
@given(moments, zones)
def test_a_moment_is_one_number_in_every_zone(moment: datetime, zone: timezone) -> None:
    number = microseconds(moment)
    assert moment_at(number) == moment
    assert moment_at(number).tzinfo is UTC
    assert microseconds(moment.astimezone(zone)) == number
    assert microseconds(moment + timedelta(microseconds=1)) == number + 1


def test_the_first_microsecond_of_1970_is_one() -> None:
    assert microseconds(datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)) == 1
    assert microseconds(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)) == -1_000_000


def test_a_moment_without_a_zone_is_none() -> None:
    with pytest.raises(TypeError):
        microseconds(datetime(2026, 1, 1))  # noqa: DTZ001 -- That is the mistake.


@settings(deadline=None)
@given(moments)
def test_sqlite_holds_the_text_that_sqlalchemy_writes(moment: datetime) -> None:
    theirs = sa.DateTime().dialect_impl(SQLITE).bind_processor(SQLITE)
    ours = UTCDateTime().bind_processor(SQLITE)
    assert theirs is not None
    assert ours is not None
    assert ours(moment) == theirs(moment.astimezone(UTC).replace(tzinfo=None))
    read = UTCDateTime().dialect_impl(SQLITE).result_processor(SQLITE, None)
    assert read is not None
    assert read(ours(moment)) == moment


@settings(deadline=None)
@given(moments)
def test_postgresql_gives_moments_in_utc(moment: datetime) -> None:
    read = UTCDateTime().result_processor(POSTGRESQL, None)
    assert read is not None
    assert (read(moment), read(None)) == (moment, None)
    assert read(moment).tzinfo is UTC  # type: ignore[union-attr]


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL])
def test_no_column_takes_a_moment_without_a_zone(dialect: sa.Dialect) -> None:
    write = UTCDateTime().bind_processor(dialect)
    assert write is not None
    assert write(None) is None
    with pytest.raises(ValueError, match="time zone"):
        write(datetime(2026, 1, 1))  # noqa: DTZ001 -- That is the mistake.


class Own(datetime):
    """As calendars of other libraries do, it answers with an interval of its own."""

    def __sub__(self, other: object) -> Any:
        return "an interval"


def test_a_moment_of_a_derived_type_counts_like_any_other() -> None:
    assert microseconds(Own(1970, 1, 1, microsecond=5, tzinfo=UTC)) == 5


def test_what_asyncpg_gives_for_infinity_is_a_moment_too() -> None:
    read = UTCDateTime().result_processor(POSTGRESQL, None)
    assert read is not None
    for end in (datetime(1, 1, 1), datetime(9999, 12, 31)):  # noqa: DTZ001 -- So it gives them.
        assert read(end) == end.replace(tzinfo=UTC)


@given(moments)
def test_sqlite_reads_the_text_of_others_with_a_zone_behind_it(moment: datetime) -> None:
    read = UTCDateTime().dialect_impl(SQLITE).result_processor(SQLITE, None)
    assert read is not None
    assert read(moment.isoformat(" ")) == moment
    assert read(str(moment.date())) == datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
