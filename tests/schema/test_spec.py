"""The frozen specifications never change, and the live tables are what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from twofold.metadata import NAMES, PASSKEYS, UsersColumn, tables
from twofold.schema import commands, passkeys_spec, spec
from twofold.schema.users.users import column
from twofold.settings import Settings

if TYPE_CHECKING:
    from tests.databases import Database

GOLDEN = Path(__file__).parent
DIALECTS = {name: sa.make_url(f"{name}://").get_dialect()() for name in ("sqlite", "postgresql", "mariadb")}


def frozen() -> tuple[sa.Table, ...]:
    return spec.tables(column(UsersColumn.parse("users.id"), sa.BigInteger()))


def frozen_passkeys() -> tuple[sa.Table, ...]:
    return passkeys_spec.tables(column(UsersColumn.parse("users.id"), sa.BigInteger()))


def live() -> tuple[sa.Table, ...]:
    metadata = sa.MetaData()
    sa.Table("users", metadata, sa.Column("id", sa.BigInteger(), primary_key=True))
    return tuple(tables(metadata))


def live_passkeys() -> sa.Table:
    metadata = sa.MetaData()
    sa.Table("users", metadata, sa.Column("id", sa.BigInteger(), primary_key=True))
    made = tables(metadata, passkeys=True).passkeys
    assert made is not None
    return made


def ddl(all_tables: tuple[sa.Table, ...], dialect: str) -> str:
    compiled = [
        str(statement.compile(dialect=DIALECTS[dialect])).strip()
        for table in all_tables
        for statement in spec.statements(table, dialect)
    ]
    return "".join("\n".join(line.rstrip() for line in one.splitlines()) + ";\n\n" for one in compiled)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_frozen_ddl_is_the_committed_one(dialect: str) -> None:
    assert ddl(frozen(), dialect) == (GOLDEN / f"{dialect}.sql").read_text()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_frozen_ddl_of_passkeys_is_the_committed_one(dialect: str) -> None:
    assert ddl(frozen_passkeys(), dialect) == (GOLDEN / f"passkeys_{dialect}.sql").read_text()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_live_table_of_passkeys_would_be_created_as_the_frozen_one(dialect: str) -> None:
    assert ddl((live_passkeys(),), dialect) == ddl(frozen_passkeys(), dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_live_tables_would_be_created_as_the_frozen_ones(dialect: str) -> None:
    golden = (GOLDEN / f"{dialect}.sql").read_text().split(";\n\n")
    # The one index that PostgreSQL alone has follows its table by itself; see the next tests.
    assert ddl(live(), dialect).split(";\n\n") == [statement for statement in golden if "USING brin" not in statement]


def test_the_live_tables_have_the_names_of_the_frozen_ones() -> None:
    assert NAMES == spec.NAMES == tuple(table.name for table in frozen())
    assert (PASSKEYS,) == passkeys_spec.NAMES == tuple(table.name for table in frozen_passkeys())


def test_what_create_all_makes_of_the_live_tables_conforms_to_the_revision(database: Database) -> None:
    metadata = sa.MetaData()
    sa.Table("users", metadata, sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True))
    tables(metadata)
    engine = database.engine()
    metadata.create_all(engine)
    assert commands.verify(engine, Settings()).findings == ()


def test_a_table_of_mariadb_comes_whole_with_its_indexes() -> None:
    statements = list(spec.statements(frozen()[0], "mariadb"))
    assert len(statements) == 1
    assert isinstance(statements[0], CreateTable)
