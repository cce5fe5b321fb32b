"""Tables that differ, with whatever hosts build on them: the whole plan is carried out, or nothing is changed.

`TWOFOLD_ATTACK_PLANS=1000 pytest -n0 tests/schema/test_plans.py --hypothesis-show-statistics` draws a thousand plans a
database, and tells how many of them were refused.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings

from tests.schema.built import BUILT, build, hanging
from tests.schema.drifts import in_company
from tests.schema.rows import contents, fill, unchanged
from tests.schema.snapshot import snapshot
from twofold.schema import adoption, commands, spec
from twofold.schema.dependants import find
from twofold.settings import Settings

if TYPE_CHECKING:
    from tests.databases import Database, Sources
    from tests.schema.built import Built
    from tests.schema.drifts import Drift

SETTINGS = Settings()
PLANS: Final = int(os.environ.get("TWOFOLD_ATTACK_PLANS", "2"))
COLUMNS = (
    ("mfa_events", "created_at"),
    ("mfa_events", "id"),
    ("mfa_backup_codes", "code_hash"),
    ("mfa_backup_codes", "used_at"),
    ("mfa_device_trusts", "trust_token"),
    ("user_mfa_secrets", "digits"),
)


def things(backend: str, drifts: list[Drift]) -> st.SearchStrategy[list[Built]]:
    """Some things of the host, most of them on a column that drifts."""
    of_it = st.sampled_from([one for one in BUILT if one.backend == backend])
    drifted = [(one.table, one.sees[1]) for one in drifts if one.sees[0] in {"type", "nullability", "default"}]
    placed = st.builds(lambda one, place: one.at(*place), of_it, st.sampled_from([*drifted, *COLUMNS]))
    return st.lists(placed, max_size=4, unique_by=lambda one: one.name)


def standing(database: Database) -> tuple[object, ...]:
    """All that the tables are and hold, and what hangs on them."""
    with database.engine().connect() as connection:
        return snapshot(database), find.of_tables(connection, spec.NAMES)


@pytest.mark.backends("sqlite", "postgresql", "mariadb")
@settings(
    max_examples=PLANS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # A plan takes a second or more, and what was drawn is told by name: nobody waits for a smaller one.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(data=st.data())
def test_any_plan_is_carried_out_whole_by_the_leave_that_it_names_or_changes_nothing(
    databases: Sources, backend: str, data: st.DataObject
) -> None:
    drifts = data.draw(in_company(backend))
    built = data.draw(things(backend, drifts))
    with databases.database(backend, migrated=True) as database:
        engine = database.engine()
        with engine.connect() as connection:
            for drift in drifts:
                drift.make(connection)
        fill(database)
        with engine.connect() as connection:
            build(connection, built)
        try:
            plan = adoption.plan(engine, SETTINGS)
            leave = {kind for step in plan.refused for kind in step.kinds}
            if plan.blocked:
                event(f"{backend}: refused")
                before = standing(database)
                with pytest.raises(adoption.Refused):
                    adoption.apply(engine, SETTINGS, allow=["heavy"])
                assert standing(database) == before
                return
            event(f"{backend}: carried out")
            rows, hangs = contents(database), hanging(database)
            adoption.apply(engine, SETTINGS, allow=leave)
            assert commands.verify(engine, SETTINGS).conforms
            assert unchanged(rows, contents(database))
            assert hanging(database) >= hangs
        finally:
            with engine.connect() as connection:
                for one in built:
                    one.take_away(connection)
