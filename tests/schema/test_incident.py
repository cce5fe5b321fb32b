"""The original incident, on each database: tables from `create_all()`, stamped unseen, with people's rows in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.cli.conftest import Shell
from tests.people import FIREFOX, log_in, plain_settings
from tests.schema.incident import happen, models, older, stamp
from tests.schema.rows import contents, unchanged
from tests.schema.snapshot import snapshot
from twofold import MFA
from twofold.errors import SchemaDrift
from twofold.schema import adoption, commands, spec
from twofold.schema.history import FOUR, HOSTS
from twofold.settings import Settings

if TYPE_CHECKING:
    from typing import Any

    from tests.databases import Database
    from tests.people import Clock

SETTINGS = Settings()


def twofold(database: Database, *arguments: str) -> tuple[int, dict[str, Any]]:
    answer = Shell({"database_url": database.url})("db", *arguments, "--json")
    return answer.code, answer.data


def test_a_blind_stamp_is_found_planned_repaired_and_can_be_taken_back(database: Database) -> None:
    happen(database)
    before = contents(database)
    assert commands.current(database.engine()) == spec.REVISION
    untouched = snapshot(database)

    assert twofold(database, "verify")[0] == 2
    code, plan = twofold(database, "adopt")
    assert (code, plan["verdict"], plan["blocked"]) == (2, "pending", [])
    assert plan["sizes"]["mfa_events"]["rows"] == 3
    assert all(step["statements"] and step["locks"] for step in plan["steps"])
    code, refused = twofold(database, "adopt", "--apply", "--yes", "--data", "later")
    assert (code, refused["verdict"]) == (2, "pending")
    assert refused["not_allowed"]
    assert snapshot(database) == untouched

    code, done = twofold(database, "adopt", "--apply", "--yes", "--data", "later", "--allow", "heavy")
    assert (code, done["verdict"], done["steps"]) == (0, "conforms", []), done
    assert done["done"]
    assert unchanged(before, contents(database))
    assert twofold(database, "verify")[0] == 0
    assert twofold(database, "adopt", "--data", "later")[0] == 0
    assert adoption.apply(database.engine(), SETTINGS).steps == ()
    with database.engine().begin() as connection:
        connection.exec_driver_sql("DELETE FROM users WHERE id = 1")
    assert {name: len(rows) for name, rows in contents(database).items()} == dict.fromkeys(before, 2)
    commands.downgrade(database.engine(), SETTINGS)
    assert set(contents(database)) == {"users"}


def test_a_stamp_in_the_hosts_own_history_moves_to_ours(database: Database) -> None:
    happen(database, stamped=HOSTS)
    with database.engine().begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO {HOSTS} VALUES ('the hosts own')")
    engine = database.engine()
    assert adoption.plan(engine, SETTINGS).elsewhere == (spec.REVISION,)
    adoption.apply(engine, SETTINGS, allow=["heavy"])
    assert adoption.plan(engine, SETTINGS).is_done
    with engine.connect() as connection:
        left = connection.exec_driver_sql(f"SELECT version_num FROM {HOSTS}").scalars().all()
    assert left == ["the hosts own"]
    assert commands.current(engine) == spec.REVISION


def test_a_host_whose_history_has_the_tables_keeps_it(database: Database) -> None:
    happen(database, stamped=HOSTS)
    engine = database.engine()
    adoption.apply(engine, SETTINGS, allow=["heavy"], leave_history=True)
    assert commands.current(engine) is None
    assert adoption.plan(engine, SETTINGS, leave_history=True).is_done
    with engine.connect() as connection:
        assert FOUR.elsewhere(connection) == (spec.REVISION,)


def test_what_comes_after_the_structure_finds_it_ready_and_unrecorded(database: Database) -> None:
    happen(database, stamped="elsewhere")
    seen: list[tuple[bool, str | None]] = []

    def import_data(engine: sa.Engine, settings: Settings) -> None:
        seen.append((commands.verify(engine, settings).conforms, commands.current(engine)))

    steps: list[adoption.Progress] = []
    engine = database.engine()
    done = adoption.apply(
        engine, SETTINGS, allow=["heavy"], on_progress=steps.append, after_structure=[import_data]
    ).steps
    assert seen == [(True, None)]
    assert steps[-1].done == steps[-1].total == len(done)
    assert [one.step for one in steps if one.share == 1.0] == list(done)
    assert commands.current(engine) == spec.REVISION


def test_an_empty_database_needs_no_adoption_and_gets_its_tables(database: Database) -> None:
    plan = adoption.plan(database.engine(), SETTINGS)
    assert (plan.verdict, plan.steps, plan.blocked) == ("pending", (), ())
    adoption.apply(database.engine(), SETTINGS)
    assert adoption.plan(database.engine(), SETTINGS).is_done


@pytest.mark.parametrize(
    ("statement", "problem", "shows"),
    [
        ("UPDATE mfa_events SET user_id = 99 WHERE id = 2", "user does not exist", "NOT EXISTS"),
        ("UPDATE mfa_backup_codes SET user_id = 1, code_hash = 'x' WHERE id < 3", "alike", "HAVING count(*) > 1"),
        ("UPDATE user_mfa_secrets SET failed_attempts = NULL WHERE id = 2", "without a value", "IS NULL"),
        ("UPDATE mfa_events SET created_at = '2999-01-01 00:00:00' WHERE id = 3", "in the future", "created_at >"),
    ],
)
def test_rows_that_stand_in_the_way_are_shown_and_left_alone(
    database: Database, statement: str, problem: str, shows: str
) -> None:
    happen(database)
    engine = database.engine()
    with engine.begin() as connection:
        if "99" in statement and database.backend != "sqlite":
            name = {"postgresql": "CONSTRAINT mfa_events_user_id_fkey", "mariadb": "FOREIGN KEY mfa_events_ibfk_1"}
            connection.exec_driver_sql(f"ALTER TABLE mfa_events DROP {name[database.backend]}")
        if database.backend == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql(statement)
    database.dispose()
    engine, before = database.engine(), snapshot(database)
    with pytest.raises(adoption.Refused) as caught:
        adoption.apply(engine, SETTINGS, allow=["heavy"])
    reasons = [one for one in caught.value.plan.blocked if problem in one.problem]
    assert reasons
    assert isinstance(caught.value, SchemaDrift)
    assert snapshot(database) == before
    query = reasons[0].query
    assert query is not None
    assert shows.partition(" >")[0] in query
    with engine.connect() as connection:
        assert connection.exec_driver_sql(query.removesuffix(";")).all()


@pytest.mark.backends("postgresql")
def test_people_read_what_differs_what_is_done_about_it_and_are_asked_once(database: Database) -> None:
    happen(database, stamped=HOSTS)
    shell = Shell({"database_url": database.url})
    plan = shell("db", "adopt").out
    for said in (
        "mfa_events: foreign key (user_id): mfa_events_user_id_fkey: users (id) ON DELETE NO ACTION (expected:",
        "ALTER TABLE mfa_events VALIDATE CONSTRAINT fk_mfa_events_user_id_cascade;",
        "lock: SHARE ROW EXCLUSIVE on users (writers wait for an instant)",
        "CREATE INDEX CONCURRENTLY ix_mfa_events_event_type_created_at ON mfa_events (event_type, created_at);",
        "SET LOCAL timezone = 'UTC';",
        "It moves to alembic_version_twofold",
        "Next: twofold db adopt --apply --allow integers --allow not-null --allow timestamps",
    ):
        assert said in plan, said
    assert shell("db", "adopt", "--allow", "bogus").code == 64
    untouched = snapshot(database)
    refused = shell("db", "adopt", "--apply", "--data", "later", "--allow", "heavy", typed="n\n")
    assert (refused.code, "Carry out" in refused.err) == (1, True)
    assert snapshot(database) == untouched
    assert shell("db", "adopt", "--apply", "--data", "later", "--allow", "heavy", typed="y\n").code == 0
    assert shell("db", "verify").code == 0


# More than one batch of rows that are adopted, and more than one of ids that are widened.
PEOPLE = 2_500


@pytest.mark.begun_first
def test_people_of_the_incident_keep_their_phones_codes_and_browsers(
    database: Database, clock: Clock, keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More rows than a plan counts one by one.
    monkeypatch.setattr("twofold.schema.adoption.planner._COUNTED", 1_000)
    engine, shell = database.engine(), Shell({"database_url": database.url, "keys": keys})
    with engine.begin() as connection:
        models().create_all(connection)
        stamp(connection)
    phones = older(database, PEOPLE, clock)
    assert shell("db", "verify").code == 2
    planned = shell("db", "adopt", "--json")
    assert (planned.code, planned.data["legacy_rows"]) == (2, PEOPLE)
    assert planned.data["sizes"]["mfa_events"]["rows"] > 1_000
    answer = shell("db", "adopt", "--apply", "--yes", "--allow", "heavy", "--json")
    assert answer.code == 0, answer.data
    assert answer.data["rows"] == {"adopted": PEOPLE, "left": []}
    assert shell("db", "verify").code == 0

    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    for user in (1, 1777, PEOPLE):
        assert not mfa.challenge(user, device_token=f"cookie-{user}", request=FIREFOX)
        assert log_in(mfa, user, phones[user].code()).factor == "totp"
        assert log_in(mfa, user, f"abcd-{user:04}").factor == "backup_codes"
        assert mfa.events.verify(user).is_intact
    with engine.connect() as connection:
        plain = sa.text("SELECT count(*) FROM user_mfa_secrets WHERE secret NOT LIKE 'v1:%'")
        assert connection.execute(plain).scalar_one() == 0
        kinds = connection.exec_driver_sql("SELECT event_type, count(*) FROM mfa_events GROUP BY event_type").all()
        assert {("adopted", PEOPLE), ("login", PEOPLE)} <= set(map(tuple, kinds))
    assert shell("db", "downgrade", "--yes").code == 0
    with engine.connect() as connection:
        left = set(sa.inspect(connection).get_table_names())
        assert not left & set(spec.NAMES)
        assert connection.exec_driver_sql("SELECT count(*) FROM users").scalar_one() == PEOPLE
