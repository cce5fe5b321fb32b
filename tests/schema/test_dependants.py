"""What hangs on the tables is known before anything is changed or dropped, in whichever schema it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from tests.cli.conftest import Shell
from tests.schema.built import BUILT
from tests.schema.incident import happen_in_part
from tests.schema.rows import contents, unchanged
from tests.schema.snapshot import snapshot
from twofold.schema import adoption, commands, spec
from twofold.schema.dependants import find
from twofold.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tests.databases import Database
    from tests.schema.built import Built
    from twofold.schema.plan.plan import Plan

SETTINGS = Settings()
_HERE = {"postgresql": "public.newest()", "mariadb": "{0}.newest"}
_NAMING = {
    "postgresql": (
        "CREATE FUNCTION newest() RETURNS SETOF int LANGUAGE plpgsql AS 'BEGIN SELECT id FROM mfa_events; END'",
        "CREATE FUNCTION codes() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN SELECT id FROM mfa_backup_codes; END'",
    ),
    "mariadb": (
        "CREATE FUNCTION newest() RETURNS INT READS SQL DATA RETURN (SELECT max(id) FROM mfa_events)",
        "CREATE FUNCTION codes() RETURNS INT READS SQL DATA RETURN (SELECT max(id) FROM mfa_backup_codes)",
    ),
}
_KEPT = "SET SESSION system_versioning_alter_history = KEEP"


def here(database: Database) -> list[Built]:
    return [one for one in BUILT if one.backend == database.backend]


def named(plan: Plan) -> set[str]:
    """What the plan says that has to be allowed."""
    return {kind for step in plan.refused for kind in step.kinds}


def is_dropped(connection: sa.Connection) -> bool:
    """Whether the database lets go of the table; PostgreSQL and SQLite take it back."""
    try:
        connection.exec_driver_sql("DROP TABLE mfa_events")
    except DBAPIError:
        return False
    finally:
        connection.rollback()
    return True


def test_all_that_a_drop_of_the_tables_meets_is_told_before_it(migrated: Database) -> None:
    with migrated.engine().connect() as connection:
        assert find.of_tables(connection, spec.NAMES) == ()
        for built in here(migrated):
            if built.drop is None:
                continue
            built.make(connection)
            found = find.of_tables(connection, spec.NAMES)
            assert built.called(connection) in {one.name for one in found}, built.name
            assert {one.fate for one in found} == {built.drop}, built.name
            if built.drop == "refuses" or migrated.backend == "postgresql":
                assert is_dropped(connection) is (built.drop != "refuses"), built.name
            built.take_away(connection)
            assert find.of_tables(connection, spec.NAMES) == (), built.name


def test_what_would_be_refused_blocks_the_plan_by_name_until_it_is_out_of_the_way(database: Database) -> None:
    """And once nothing is left in the way, all that can stay is carried along, and comes back as it was."""
    happen_in_part(database, "mfa_events")
    engine = database.engine()
    with engine.connect() as connection:
        for built in here(database):
            if built.refuses:
                built.make(connection)
                blocked = adoption.plan(engine, SETTINGS).blocked
                assert {one.problem.partition(": ")[0] for one in blocked} == {built.called(connection)}, built.name
                for blocker in blocked:
                    (gone,) = re.findall(r"\((.*?);\)", blocker.remedy)
                    connection.exec_driver_sql(gone)
                connection.commit()
                built.take_away(connection)
        carried = [one for one in here(database) if not one.refuses]
        for built in carried:
            built.make(connection)
        before = {one.name for one in find.of_tables(connection, spec.NAMES)}
        connection.rollback()
    rows = contents(database)
    adoption.apply(engine, SETTINGS, allow=named(adoption.plan(engine, SETTINGS)))
    assert commands.verify(engine, SETTINGS).conforms
    assert unchanged(rows, contents(database))
    with engine.connect() as connection:
        assert {one.name for one in find.of_tables(connection, spec.NAMES)} >= before


@pytest.mark.backends("postgresql", "mariadb")
def test_what_names_a_table_that_changes_is_told_and_keeps_nothing_from_being_done(database: Database) -> None:
    happen_in_part(database, "mfa_events")
    with database.engine().begin() as connection:
        for statement in _NAMING[database.backend]:
            connection.exec_driver_sql(statement)
    plan = adoption.plan(database.engine(), SETTINGS)
    assert plan.blocked == ()
    function = _HERE[database.backend].format(database.engine().url.database)
    assert list(map(str, plan.mentioned)) == [f"mfa_events: function {function}: its text names the table"]
    assert f"look at it: {plan.mentioned[0]}" in Shell({"database_url": database.url})("db", "adopt").out
    adoption.apply(database.engine(), SETTINGS, allow=named(plan))
    assert adoption.plan(database.engine(), SETTINGS).mentioned == ()


@pytest.mark.backends("postgresql")
def test_what_names_another_table_is_not_told(migrated: Database) -> None:
    with migrated.engine().connect() as connection:
        for number, text in enumerate(
            (
                "SELECT id FROM mfa_events_of_before, my_mfa_events, mfa_events$",
                'SELECT id FROM tenant_b.mfa_events, "tenant_b"."mfa_events"',
                "SELECT id FROM public2.mfa_events",
            )
        ):
            connection.exec_driver_sql(
                f"CREATE FUNCTION f{number}() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {text}; END $$"
            )
        assert find.of_tables(connection, spec.NAMES) == ()
        connection.rollback()


@pytest.mark.backends("mariadb")
def test_one_copy_of_a_table_does_all_that_needs_one_and_the_plan_names_every_leave_for_it(database: Database) -> None:
    happen_in_part(database, "mfa_events")
    with database.engine().begin() as connection:
        # What crosses 255 bytes, or becomes a TEXT, is never done without a copy.
        connection.exec_driver_sql(
            "ALTER TABLE mfa_events MODIFY event_type VARCHAR(50) NOT NULL, MODIFY event_details VARCHAR(500), "
            "MODIFY ip_address VARCHAR(20) CHARACTER SET latin1, "
            "MODIFY created_at DATETIME NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
        )
    plan = adoption.plan(database.engine(), SETTINGS)
    copied = [step for step in plan.steps if "ALGORITHM=COPY" in step.statements[0]]
    assert [set(step.kinds) for step in copied] == [{"timestamps", "integers", "character-set", "copy", "foreign-keys"}]
    assert named(plan) == set(copied[0].kinds)
    for missing in named(plan):
        with pytest.raises(adoption.Refused):
            adoption.apply(database.engine(), SETTINGS, allow=named(plan) - {missing})
    rows = contents(database)
    adoption.apply(database.engine(), SETTINGS, allow=named(plan))
    assert commands.verify(database.engine(), SETTINGS).conforms
    assert unchanged(rows, contents(database))
    with database.engine().connect() as connection:
        made = str(connection.exec_driver_sql("SHOW CREATE TABLE mfa_events").one()[1])
    assert "DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6)" in made


@pytest.mark.backends("mariadb")
def test_a_history_of_rows_is_kept_where_somebody_says_so(database: Database) -> None:
    happen_in_part(database, "mfa_events")
    engine = database.engine()
    event.listen(engine, "connect", lambda connection, _: connection.query(_KEPT))
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE mfa_events ADD SYSTEM VERSIONING")
        connection.exec_driver_sql("UPDATE mfa_events SET event_status = 'changed' WHERE id = 1")
    adoption.apply(engine, SETTINGS, allow=named(adoption.plan(engine, SETTINGS)))
    assert commands.verify(engine, SETTINGS).conforms
    with engine.connect() as connection:
        every = "SELECT count(*) FROM mfa_events FOR SYSTEM_TIME ALL"
        assert connection.exec_driver_sql(every).scalar_one() == 4


@pytest.mark.backends("mariadb")
def test_rows_that_would_be_too_long_are_known_before_the_first_step(database: Database) -> None:
    happen_in_part(database, "user_mfa_secrets", "mfa_events")
    wide = ", ".join(f"ADD note_{number} VARCHAR(150)" for number in range(4))
    with database.engine().begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE user_mfa_secrets ROW_FORMAT = COMPACT, {wide}")
    before = snapshot(database)
    with pytest.raises(adoption.Refused) as caught:
        adoption.apply(database.engine(), SETTINGS, allow=["heavy"])
    (blocker,) = caught.value.plan.blocked
    assert blocker.problem.startswith("table user_mfa_secrets: ")
    assert "error 1118" in blocker.problem
    assert "ROW_FORMAT = DYNAMIC" in blocker.remedy
    assert snapshot(database) == before
    with database.engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE user_mfa_secrets ROW_FORMAT = DYNAMIC")
    adoption.apply(database.engine(), SETTINGS, allow=named(adoption.plan(database.engine(), SETTINGS)))
    assert commands.verify(database.engine(), SETTINGS).conforms


@pytest.mark.backends("mariadb")
def test_a_user_id_that_was_set_to_null_is_required_once_its_key_cascades(database: Database) -> None:
    happen_in_part(database, "mfa_events")
    with database.engine().begin() as connection:
        for change in (
            "DROP FOREIGN KEY mfa_events_ibfk_1",
            "MODIFY user_id INT NULL",
            "ADD CONSTRAINT kept FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL",
        ):
            connection.exec_driver_sql(f"ALTER TABLE mfa_events {change}")
    adoption.apply(database.engine(), SETTINGS, allow=named(adoption.plan(database.engine(), SETTINGS)))
    assert commands.verify(database.engine(), SETTINGS).conforms


@pytest.mark.backends("postgresql")
@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("ddl_command_start WHEN TAG IN ('CREATE INDEX')", "CREATE INDEX"),
        ("ddl_command_end WHEN TAG IN ('DROP FUNCTION')", "DROP FUNCTION"),
        ("sql_drop", "ALTER TABLE"),
    ],
)
def test_an_event_trigger_that_forbids_a_step_is_asked_before_the_first_one(
    database: Database, when: str, says: str
) -> None:
    happen_in_part(database, "mfa_events")
    never = "RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never'; END $$"
    with database.engine().begin() as connection:
        connection.exec_driver_sql(f"CREATE FUNCTION never() {never}")
        connection.exec_driver_sql(f"CREATE EVENT TRIGGER guard ON {when} EXECUTE FUNCTION never()")
    engine = database.engine()
    blocked = adoption.plan(engine, SETTINGS).blocked
    (blocker,) = blocked
    assert blocker.problem.startswith(f"event trigger guard: what is done at each {says} ")
    (gone,) = re.findall(r"\((.*?);\)", blocker.remedy)
    with engine.begin() as connection:
        connection.exec_driver_sql(gone)
    assert adoption.plan(engine, SETTINGS).blocked == ()


@pytest.mark.backends("postgresql")
def test_a_view_comes_back_with_what_it_guards_with_and_whom_it_serves(database: Database) -> None:
    happen_in_part(database, "mfa_events")
    looks = (
        "SELECT reloptions, relowner::regrole, (SELECT array_agg(one::text ORDER BY one::text) "
        "FROM unnest(relacl) AS one) FROM pg_class WHERE relname = 'guarded'"
    )
    with database.engine().begin() as connection:
        connection.exec_driver_sql("CREATE ROLE reader; CREATE ROLE keeper")
        try:
            connection.exec_driver_sql(
                "CREATE VIEW guarded WITH (security_barrier=true) AS SELECT created_at FROM mfa_events"
            )
            connection.exec_driver_sql("GRANT SELECT ON guarded TO reader WITH GRANT OPTION")
            connection.exec_driver_sql("GRANT SELECT, TRIGGER ON guarded TO PUBLIC")
            connection.exec_driver_sql("ALTER VIEW guarded OWNER TO keeper")
            before = connection.exec_driver_sql(looks).one()
            (found,) = find.of_tables(connection, spec.NAMES)
            gone, again = re.findall(r"^Drop it \((.*?);\).* create it again: (.*)$", found.remedy, re.DOTALL)[0]
            connection.exec_driver_sql(gone)
            connection.exec_driver_sql(again)
            assert connection.exec_driver_sql(looks).one() == before
        finally:
            connection.rollback()


@pytest.mark.backends("postgresql")
def test_neither_a_limit_for_peoples_statements_nor_one_for_rewrites_ends_a_plan(database: Database) -> None:
    happen_in_part(database, "mfa_events")
    never = "RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never'; END $$"
    slow = "RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(0.4) IS NOT NULL'"
    with database.engine().begin() as connection:
        # No table of the incident is rewritten, so that this has no say.
        connection.exec_driver_sql(f"CREATE FUNCTION never() {never}")
        connection.exec_driver_sql("CREATE EVENT TRIGGER guard ON table_rewrite EXECUTE FUNCTION never()")
        connection.exec_driver_sql(f"CREATE FUNCTION slow() {slow}")
        connection.exec_driver_sql("ALTER TABLE mfa_events ADD CHECK (event_status IS NOT NULL AND slow())")
        connection.exec_driver_sql(f"ALTER DATABASE {connection.engine.url.database} SET statement_timeout = '1s'")
    database.dispose()
    with database.engine().connect() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "1s"
    # Each of the three rows is checked when its wider id is filled.
    adoption.apply(database.engine(), SETTINGS, allow=["heavy"])
    assert commands.verify(database.engine(), SETTINGS).conforms


@pytest.mark.backends("sqlite")
def test_whatever_sqlite_refuses_is_refused_in_memory_first(database: Database) -> None:
    happen_in_part(database, "mfa_backup_codes", "mfa_events")
    with database.engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE twofold_new_mfa_events (id INTEGER)")
    before = snapshot(database)
    with pytest.raises(adoption.Refused) as caught:
        adoption.apply(database.engine(), SETTINGS, allow=["heavy"])
    (blocker,) = caught.value.plan.blocked
    assert "twofold_new_mfa_events already exists" in blocker.problem.replace('"', "")
    assert snapshot(database) == before


@pytest.mark.backends("sqlite")
def test_an_index_over_a_function_of_the_host_is_made_again_where_the_function_is(database: Database) -> None:
    happen_in_part(database, "mfa_events")
    engine = database.engine()

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        connection.create_function("folded", 1, str.casefold, deterministic=True)

    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE INDEX by_type ON mfa_events (folded(event_type))")
    (blocker,) = adoption.plan(database.engine(), SETTINGS).blocked
    assert "no such function: folded" in blocker.problem
    assert adoption.plan(engine, SETTINGS).blocked == ()
    adoption.apply(engine, SETTINGS, allow=["heavy"])
    with engine.connect() as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE tbl_name = 'mfa_events'").scalars()
        assert "by_type" in set(names)
