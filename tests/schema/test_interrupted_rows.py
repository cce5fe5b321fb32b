"""The import of the rows is killed wherever it can be, and every row is adopted once all the same."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.databases import ROOT
from tests.people import FIREFOX, log_in, plain_settings
from tests.schema.incident import older
from tests.schema.killed import environment
from twofold import MFA
from twofold.schema import spec

if TYPE_CHECKING:
    from tests.databases import Database
    from tests.people import Clock

PEOPLE = 9


def count(connection: sa.Connection, table: str) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(sa.table(table))).scalar_one())


@pytest.mark.by_turns
def test_a_kill_at_any_place_of_the_import_loses_no_row_and_adopts_none_twice(
    migrated: Database, clock: Clock, keys: str
) -> None:
    phones = older(migrated, PEOPLE, clock)
    engine = migrated.engine()
    with engine.connect() as connection:
        before = {name: count(connection, name) for name in ("users", *spec.NAMES)}
    migrated.dispose()
    done = subprocess.run(
        [sys.executable, "-m", "tests.schema.killed", "rows"],
        cwd=ROOT,
        env=environment(migrated, keys=keys),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Inside of a batch of five, behind it, and inside of the next one.
    assert int(done.stdout.splitlines()[-1]) >= 7

    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    assert mfa.legacy.survey().rows == mfa.legacy.survey().devices == 0
    with engine.connect() as connection:
        after = {name: count(connection, name) for name in before}
        adopted = connection.exec_driver_sql("SELECT user_id FROM mfa_events WHERE event_type = 'adopted'").scalars()
        assert Counter(adopted) == dict.fromkeys(phones, 1)
    assert after == before | {"mfa_events": before["mfa_events"] + PEOPLE}
    assert all(mfa.events.verify(user).is_intact for user in phones)
    for user, phone in list(phones.items())[:: PEOPLE - 1]:
        assert not mfa.challenge(user, device_token=f"cookie-{user}", request=FIREFOX)
        assert log_in(mfa, user, phone.code()).factor == "totp"
