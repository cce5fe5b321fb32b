"""PostgreSQL: narrow ids become wide beside running writers, and nothing that hangs on them is lost."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.schema.rows import contents, fill, unchanged
from twofold.schema import adoption, commands
from twofold.schema.adoption import postgresql_ids
from twofold.settings import Settings

if TYPE_CHECKING:
    from tests.databases import Database

pytestmark = pytest.mark.backends("postgresql")
SETTINGS = Settings()
NARROW = "ALTER TABLE mfa_backup_codes ALTER id TYPE integer"
USED = "ALTER SEQUENCE mfa_backup_codes_id_seq RESTART 70"
INSERT = (
    "INSERT INTO mfa_backup_codes (user_id, code_hash, is_used, created_at) "
    "VALUES (1, md5(random()::text), false, now()) RETURNING id"
)


def run(database: Database, *statements: str) -> None:
    with database.engine().begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def steps(database: Database) -> list[str]:
    return [step.what for step in adoption.plan(database.engine(), SETTINGS, allow=["integers"]).steps]


def adopt(database: Database) -> None:
    before = contents(database)
    adoption.apply(database.engine(), SETTINGS, allow=["integers"])
    assert unchanged(before, contents(database))
    assert commands.verify(database.engine(), SETTINGS).conforms
    left = sa.text("SELECT count(*) FROM pg_proc WHERE proname LIKE '%%id_bigint'")
    with database.engine().begin() as connection:
        assert connection.execute(left).scalar_one() == 0
        largest = connection.execute(sa.text("SELECT max(id) FROM mfa_backup_codes")).scalar_one()
        assert connection.exec_driver_sql(INSERT).scalar_one() > largest
        connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('mfa_backup_codes', 'id'), 3000000000)")
        assert connection.exec_driver_sql(INSERT).scalar_one() == 3000000001


@pytest.mark.parametrize("when", ["ALWAYS", "BY DEFAULT"])
def test_an_identity_goes_on_counting_where_it_was(migrated: Database, when: str) -> None:
    fill(migrated)
    run(
        migrated,
        "ALTER TABLE mfa_backup_codes ALTER id DROP DEFAULT",
        "DROP SEQUENCE mfa_backup_codes_id_seq",
        NARROW,
        f"ALTER TABLE mfa_backup_codes ALTER id ADD GENERATED {when} AS IDENTITY (START 70)",
    )
    assert "a wider id: change places" in steps(migrated)
    adopt(migrated)
    with migrated.engine().connect() as connection:
        query = "SELECT is_identity, identity_generation FROM information_schema.columns WHERE column_name = 'id'"
        query = f"{query} AND table_name = 'mfa_backup_codes'"
        assert tuple(connection.exec_driver_sql(query).one()) == ("YES", when)


def test_a_sequence_of_the_hosts_own_stays_its_own(migrated: Database) -> None:
    fill(migrated)
    run(
        migrated,
        "CREATE SEQUENCE theirs START 90",
        "ALTER TABLE mfa_backup_codes ALTER id SET DEFAULT nextval('theirs')",
        NARROW,
    )
    adoption.apply(migrated.engine(), SETTINGS, allow=["integers"])
    with migrated.engine().begin() as connection:
        assert connection.exec_driver_sql(INSERT).scalar_one() == 90


def test_the_hosts_indexes_keep_their_names_and_serve(migrated: Database) -> None:
    fill(migrated)
    run(
        migrated,
        USED,
        NARROW,
        "CREATE INDEX ix_mfa_backup_codes_id ON mfa_backup_codes (id)",
        'CREATE UNIQUE INDEX "Theirs (of a host)" ON mfa_backup_codes (user_id, id)',
    )
    adopt(migrated)
    query = "SELECT indexdef FROM pg_indexes WHERE tablename = 'mfa_backup_codes' AND indexdef LIKE '%%id)%%'"
    with migrated.engine().connect() as connection:
        found = "\n".join(connection.exec_driver_sql(query).scalars())
    assert "INDEX ix_mfa_backup_codes_id ON public.mfa_backup_codes USING btree (id)" in found
    assert 'UNIQUE INDEX "Theirs (of a host)" ON public.mfa_backup_codes USING btree (user_id, id)' in found
    assert "UNIQUE INDEX mfa_backup_codes_pkey ON public.mfa_backup_codes USING btree (id)" in found


@pytest.mark.parametrize(
    "hosts",
    [
        "CREATE TABLE theirs (code INTEGER REFERENCES mfa_backup_codes (id))",
        "CREATE INDEX theirs ON mfa_backup_codes (id) WHERE is_used",
        "CREATE INDEX theirs ON mfa_backup_codes ((id + 1))",
        "CREATE INDEX theirs ON mfa_backup_codes (id DESC)",
        "ALTER TABLE mfa_backup_codes ADD CONSTRAINT theirs CHECK (id > 0)",
        "ALTER TABLE mfa_backup_codes ADD CONSTRAINT theirs UNIQUE (id)",
        "GRANT SELECT (id) ON mfa_backup_codes TO PUBLIC",
        "ALTER TABLE mfa_backup_codes ADD COLUMN id_bigint bigint",
    ],
)
def test_what_would_be_lost_in_a_swap_is_kept_by_a_rewrite(migrated: Database, hosts: str) -> None:
    fill(migrated)
    run(migrated, USED, NARROW, hosts)
    assert steps(migrated) == ["integers of id"]
    adopt(migrated)


def test_rows_that_are_written_meanwhile_are_there_afterwards(
    migrated: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_ids, "_ROWS", 2)
    fill(migrated, rows=7)
    run(migrated, USED, NARROW)
    # A connection that has prepared a statement is told once that the type of its result has changed.
    writer = sa.create_engine(migrated.url.replace("://", "+psycopg://"), poolclass=sa.NullPool)
    written, one = set[int](), threading.Lock()

    def write(_progress: adoption.Progress) -> None:
        with one, writer.begin() as connection:
            connection.exec_driver_sql("UPDATE mfa_backup_codes SET is_used = true WHERE id = 2")
            written.add(connection.exec_driver_sql(INSERT).scalar_one())
            stated = 5000 + len(written)
            connection.exec_driver_sql(INSERT.replace("(user_id", "(id, user_id").replace("(1,", f"({stated}, 1,"))
            written.add(stated)

    adoption.apply(migrated.engine(), SETTINGS, allow=["integers"], on_progress=write)
    with migrated.engine().connect() as connection:
        there = set(connection.exec_driver_sql("SELECT id FROM mfa_backup_codes").scalars())
    assert len(written) > 20
    assert there == written | set(range(1, 8))
    assert commands.verify(migrated.engine(), SETTINGS).conforms
