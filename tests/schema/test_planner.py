"""A plan is the same whenever it is asked for, is read from the catalog a few times in a run, and says who waits."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from sqlalchemy import event

from tests.cli.conftest import Shell
from tests.databases import BACKENDS, Database, Sources
from tests.schema.drifts import DRIFTS
from tests.schema.incident import happen
from tests.schema.killed import ARGUMENTS, TWOFOLD, environment
from tests.schema.rows import contents, unchanged
from twofold.cli.terminal import as_json
from twofold.errors import SchemaDrift
from twofold.schema import adoption, commands, spec
from twofold.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = Settings()
# Two columns of the host in each table, which a set would give now in this order and now in that one.
_HOSTS = tuple(
    f"ALTER TABLE {name} ADD COLUMN recovery_{what} VARCHAR(40)" for name in spec.NAMES for what in ("email", "phone")
)


@contextmanager
def reads(name: str = spec.NAMES[0]) -> Iterator[list[str]]:
    """Every look into the catalog at one of the four tables, on whatever engine, from here on."""
    seen: list[str] = []
    asked = (
        "to_regclass(concat",
        "FROM sqlite_master WHERE lower(name)",
        "table_type AS kind",
    )

    def look(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        values = parameters.values() if isinstance(parameters, dict) else parameters
        if name in values and any(one in statement for one in asked):
            seen.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", look)
    try:
        yield seen
    finally:
        event.remove(sa.Engine, "before_cursor_execute", look)


@pytest.mark.parametrize("stamped", [spec.VERSION_TABLE, "elsewhere"])
def test_a_run_reads_the_catalog_three_times_however_many_steps_it_takes(database: Database, stamped: str) -> None:
    happen(database, stamped=stamped)
    with reads() as looks:
        answer = Shell({"database_url": database.url})(*ARGUMENTS)
    assert answer.code == 0
    assert len(answer.data["done"]) > 8
    # To show it, to carry it out while nobody else does, and to say that all of it took effect.
    assert len(looks) == 3
    assert commands.verify(database.engine(), SETTINGS).conforms
    again = Shell({"database_url": database.url})("db", "adopt", "--json").data
    kept = ("verdict", "revision", "elsewhere", "findings", "steps", "waits", "blocked", "not_allowed", "legacy_rows")
    assert {name: again[name] for name in kept} == {name: answer.data[name] for name in kept}


@pytest.mark.backends("sqlite")
def test_a_schema_that_somebody_changes_meanwhile_is_planned_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite keeps nobody out between two steps, so the steps that were planned may have been taken by another run."""
    happen(database)
    others, performed = database.engine(), list[str]()
    module: Any = adoption
    original = module.perform

    def interrupted(connection: sa.Connection, step: Any, *rest: Any) -> None:
        performed.append(str(step))
        if len(performed) == 2:
            adoption.apply(others, SETTINGS, allow=["heavy"])
        original(connection, step, *rest)

    monkeypatch.setattr(adoption, "perform", interrupted)
    adoption.apply(database.engine(), SETTINGS, allow=["heavy"])
    assert adoption.plan(database.engine(), SETTINGS).is_done
    # Its own first step, the second one that found the work done, and all of the others'.
    assert len(set(performed)) == len(performed) - 1


@pytest.mark.backends("sqlite")
def test_what_somebody_puts_in_the_way_meanwhile_is_told_with_what_was_done(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    happen(database)
    module: Any = adoption
    original, performed = module.perform, list[str]()

    def interrupted(connection: sa.Connection, step: Any, *rest: Any) -> None:
        performed.append(str(step))
        if len(performed) == 2:
            with database.engine().begin() as other:
                other.exec_driver_sql("ALTER TABLE mfa_events ADD COLUMN tenant INTEGER NOT NULL DEFAULT 1")
                other.exec_driver_sql("ALTER TABLE mfa_events RENAME TO theirs")
                other.exec_driver_sql("CREATE VIEW mfa_events AS SELECT * FROM theirs")
        original(connection, step, *rest)

    monkeypatch.setattr(adoption, "perform", interrupted)
    with pytest.raises(SchemaDrift, match="What was done stays") as caught:
        adoption.apply(database.engine(), SETTINGS, allow=["heavy"])
    assert not isinstance(caught.value, adoption.Refused)
    assert any("a view" in difference for difference in caught.value.differences)
    plan = adoption.plan(database.engine(), SETTINGS)
    assert performed[0] not in map(str, plan.steps)
    assert performed[1] in map(str, plan.steps)


@pytest.mark.by_turns
def test_three_runs_at_once_all_succeed_and_take_each_step_once(database: Database, tmp_path: Path) -> None:
    happen(database)
    before = contents(database)
    planned = [str(step) for step in adoption.plan(database.engine(), SETTINGS).steps]
    database.dispose()
    racing = [
        subprocess.Popen(
            [TWOFOLD, *ARGUMENTS],
            cwd=tmp_path,
            env=environment(database),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=200) for process in racing]
    assert [process.returncode for process in racing] == [0, 0, 0], "\n".join(map(str, answers))
    done = [step for out, _ in answers for step in json.loads(out)["done"]]
    taken = [f"{step['table']}: {step['what']}" for step in done]
    assert sorted(taken) == sorted(planned)
    assert unchanged(before, contents(database))


def fingerprint(database: Database) -> str:
    """A plan as it is shown to programs."""
    return as_json(adoption.plan(database.engine(), SETTINGS))


def elsewhere(database: Database, folder: Path, seed: str) -> dict[str, Any]:
    """The plan of another process, whose sets have another order."""
    given = environment(database) | {"PYTHONHASHSEED": seed}
    done = subprocess.run(
        [TWOFOLD, "db", "adopt", "--json"], cwd=folder, env=given, capture_output=True, text=True, check=False
    )
    assert done.returncode in {2, 3}, done.stderr
    return dict(json.loads(done.stdout))


# The order of sets is Python's.
@pytest.mark.by_turns
def test_the_plan_of_the_same_catalog_is_the_same_in_every_process(database: Database, tmp_path: Path) -> None:
    happen(database)
    with database.engine().begin() as connection:
        for statement in _HOSTS:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"CREATE INDEX hosts ON {spec.NAMES[3]} (user_agent)")
    first, other = (elsewhere(database, tmp_path, seed) for seed in ("1", "2"))
    assert list(other) == list(first)
    # MariaDB estimates anew how large a table is.
    assert {**other, "sizes": None} == {**first, "sizes": None}


_HERE = {backend: [one for one in DRIFTS if one.backend == backend] for backend in BACKENDS}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_plan_of_any_drift_is_the_same_whenever_it_is_asked_for(
    databases: Sources, backend: str, data: st.DataObject
) -> None:
    drift = data.draw(st.sampled_from(_HERE[backend]))
    with databases.database(backend, migrated=True) as database:
        with database.engine().connect() as connection:
            for statement in data.draw(st.lists(st.sampled_from(_HOSTS), unique=True)):
                connection.exec_driver_sql(statement)
            connection.commit()
        with database.engine().connect() as connection:
            drift.make(connection)
        assert fingerprint(database) == fingerprint(database)
        database.dispose()


def test_people_see_the_steps_of_each_table_together_and_who_waits_how_long(database: Database) -> None:
    happen(database)
    shown = Shell({"database_url": database.url})("db", "adopt").out.splitlines()
    headings = [line for line in shown if line.endswith((" step", " steps"))]
    assert [line.partition(":")[0] for line in headings] == list(spec.NAMES)
    data = Shell({"database_url": database.url})("db", "adopt", "--json").data
    assert {number for wait in data["waits"] for number in wait["steps"]} == set(range(1, len(data["steps"]) + 1))
    expected = {
        "postgresql": [
            ("mfa_events", "everybody", False),
            ("users", "writers", False),
            ("mfa_events", "nobody", False),
        ],
        "mariadb": [("mfa_events", "writers", True), ("users", "everybody", False)],
        "sqlite": [("the database file", "writers", True), ("the database file", "writers", False)],
    }
    found = [(wait["table"], wait["who"], wait["is_long"]) for wait in data["waits"]]
    assert set(expected[database.backend]) <= set(found)
    assert any("an instant, " in line and "times" in line for line in shown)
