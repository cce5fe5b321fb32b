"""The default: two histories side by side, that know nothing of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

import twofold
from tests.hosts.conftest import OURS, Host
from tests.people import plain_settings
from twofold import ConfigurationError
from twofold.schema import commands, spec
from twofold.schema.history import PASSKEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database

SHOP = {"users", "orders", "alembic_version"}


def test_each_history_comes_and_goes_without_the_other(host: Callable[..., Host]) -> None:
    shop = host("own_history")
    assert "No new upgrade operations detected" in shop.do(
        "alembic upgrade head", "twofold db upgrade", "alembic check"
    )
    assert shop.tables() == {*SHOP, *OURS, spec.VERSION_TABLE}
    assert (shop.recorded(), shop.recorded(spec.VERSION_TABLE)) == ({"a2"}, {spec.REVISION})

    assert "conform" in shop.do("alembic downgrade -1", "twofold db verify")
    assert shop.tables() == {*SHOP, *OURS, spec.VERSION_TABLE} - {"orders"}
    assert (shop.recorded(), shop.recorded(spec.VERSION_TABLE)) == ({"a1"}, {spec.REVISION})

    last = shop.do("alembic upgrade head", "twofold db downgrade --yes", "alembic check")
    assert "No new upgrade operations detected" in last
    assert shop.tables() == {*SHOP, spec.VERSION_TABLE}
    assert (shop.recorded(), shop.recorded(spec.VERSION_TABLE)) == ({"a2"}, {spec.USERS_REVISION})


def proposed(database: Database, metadata: sa.MetaData, **options: Any) -> list[str]:
    """What autogenerate would do, tables first. What it does to the indexes of a table that goes is left out."""
    with database.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": metadata, **options})
        found: list[Any] = compare_metadata(context, metadata)
    named = [f"{one[0]} {one[1].name}" for one in found if one[0] in {"add_table", "remove_table"}]
    others = [str(one) for one in found if one[0] not in {"add_table", "remove_table"}]
    going = [one.rpartition(" ")[2] for one in named]
    return sorted(named) + [one for one in others if not any(f"table=<{name}>" in one for name in going)]


def with_users(**convention: str) -> sa.MetaData:
    metadata = sa.MetaData(naming_convention=convention or None)
    sa.Table(
        "users",
        metadata,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("created_at", spec.Moment, nullable=False),
        sa.UniqueConstraint("subject", name=sa.schema.conv("uq_users_subject_twofold") if convention else None),
    )
    return metadata


def test_autogenerate_leaves_alone_what_is_not_the_hosts(migrated: Database) -> None:
    metadata = with_users()
    assert proposed(migrated, metadata) == sorted(f"remove_table {name}" for name in (*OURS, spec.VERSION_TABLE))
    assert proposed(migrated, metadata, include_name=twofold.include_name(metadata)) == []


def test_autogenerate_finds_no_difference_in_tables_that_the_host_made_its_own(migrated: Database) -> None:
    metadata = with_users()
    twofold.tables(metadata)
    assert proposed(migrated, metadata, include_name=twofold.include_name(metadata)) == []
    # A host that has several collections of tables gives Alembic a list of them.
    assert proposed(migrated, metadata, include_name=twofold.include_name([sa.MetaData(), metadata])) == []
    with migrated.engine().begin() as connection:
        connection.exec_driver_sql("DROP TABLE mfa_events")
    assert proposed(migrated, metadata, include_name=twofold.include_name(metadata)) == ["add_table mfa_events"]


def test_tables_of_the_same_name_in_other_schemas_are_the_hosts() -> None:
    metadata = with_users()
    include = twofold.include_name(metadata)
    assert not include("mfa_events", "table", {"schema_name": None})
    assert include("mfa_events", "table", {"schema_name": "billing"})
    assert include("mfa_events", "column", {"schema_name": None, "table_name": "orders"})


def test_a_metadata_with_a_schema_of_its_own_does_not_move_the_tables() -> None:
    metadata = sa.MetaData(schema="app")
    sa.Table("accounts", metadata, sa.Column("uuid", sa.Uuid(), primary_key=True))
    made = twofold.tables(metadata, users="app.accounts.uuid")
    assert {table.key for table in made} == OURS
    assert isinstance(made.secrets.c.user_id.type, sa.Uuid)
    (reference,) = made.secrets.c.user_id.foreign_keys
    assert reference.column.table.key == "app.accounts"


DOCUMENTED = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {kind: f"{kind}_%(table_name)s__%(constraint_name)s" for kind in ("uq", "ix", "fk")},
        {"uq": "%(constraint_name)s_uq", "ix": "%(constraint_name)s_ix", "fk": "%(constraint_name)s_%(table_name)s_fk"},
    ],
    ids=["Alembic's documented one", "constraint_name", "constraint_name first"],
)
def test_a_naming_convention_of_the_hosts_renames_nothing(
    migrated: Database, database: Database, more: dict[str, str]
) -> None:
    metadata = with_users(**DOCUMENTED | more)
    twofold.tables(metadata)
    assert proposed(migrated, metadata, include_name=twofold.include_name(metadata)) == []
    metadata.create_all(database.engine())
    assert commands.verify(database.engine(), plain_settings()).findings == ()


def test_an_application_factory_may_run_twice() -> None:
    metadata = with_users()
    first = twofold.tables(metadata)
    assert all(one is other for one, other in zip(first, twofold.tables(metadata), strict=True))
    assert twofold.tables(metadata, user_id_type=first.secrets.c.user_id.type) == first
    early = sa.MetaData()
    chosen = twofold.tables(early, user_id_type=sa.String(40))
    assert twofold.tables(early) == chosen


def test_the_table_of_passkeys_is_added_where_it_is_asked_for() -> None:
    metadata = with_users()
    four = twofold.tables(metadata)
    assert four.passkeys is None
    assert "mfa_passkeys" not in metadata.tables
    five = twofold.tables(metadata, passkeys=True)
    assert five.passkeys is metadata.tables["mfa_passkeys"]
    assert tuple(five) == tuple(four)
    assert twofold.tables(metadata, passkeys=True) == five
    assert twofold.tables(metadata).passkeys is None
    chosen = twofold.tables(sa.MetaData(), user_id_type=sa.String(40), passkeys=True).passkeys
    assert chosen is not None
    assert repr(chosen.c.user_id.type) == "String(length=40)"


def test_another_table_of_the_name_is_refused_only_where_passkeys_are_asked_for() -> None:
    metadata = with_users()
    sa.Table("mfa_passkeys", metadata, sa.Column("id", sa.Integer(), primary_key=True))
    assert twofold.tables(metadata).passkeys is None
    with pytest.raises(ConfigurationError, match="mfa_passkeys already, not from"):
        twofold.tables(metadata, passkeys=True)


def test_a_second_call_that_asks_for_other_tables_is_refused() -> None:
    metadata = with_users()
    twofold.tables(metadata)
    with pytest.raises(ConfigurationError, match=r"with users='users\.id'"):
        twofold.tables(metadata, users="accounts.id")
    with pytest.raises(ConfigurationError, match=r"BigInteger\(\).*Uuid\(\)"):
        twofold.tables(metadata, user_id_type=sa.Uuid())
    early = sa.MetaData()
    twofold.tables(early)
    sa.Table("users", early, sa.Column("id", sa.Uuid(), primary_key=True))
    with pytest.raises(ConfigurationError, match="declare the users before"):
        twofold.tables(early)


def test_tables_that_the_host_declared_itself_are_not_taken_for_ours_and_nothing_is_added() -> None:
    metadata = with_users()
    sa.Table("mfa_events", metadata, sa.Column("id", sa.Integer(), primary_key=True))
    with pytest.raises(ConfigurationError, match="The metadata has mfa_events already, not all four from"):
        twofold.tables(metadata)
    assert set(metadata.tables) == {"users", "mfa_events"}
    partly = with_users()
    partly.remove(twofold.tables(partly).events)
    with pytest.raises(ConfigurationError, match="user_mfa_secrets, mfa_backup_codes, mfa_device_trusts already"):
        twofold.tables(partly)


def test_autogenerate_finds_no_difference_in_the_table_of_passkeys(migrated: Database) -> None:
    commands.upgrade(migrated.engine(), plain_settings(), history=PASSKEYS)
    metadata = with_users()
    assert proposed(migrated, metadata, include_name=twofold.include_name(metadata)) == []
    twofold.tables(metadata)
    assert proposed(migrated, metadata, include_name=twofold.include_name(metadata)) == []
    twofold.tables(metadata, passkeys=True)
    assert proposed(migrated, metadata, include_name=twofold.include_name(metadata)) == []
    with migrated.engine().begin() as connection:
        connection.exec_driver_sql("DROP TABLE mfa_passkeys")
    assert proposed(migrated, metadata, include_name=twofold.include_name(metadata)) == ["add_table mfa_passkeys"]


def test_the_table_of_passkeys_that_create_all_makes_conforms(database: Database) -> None:
    metadata = with_users()
    twofold.tables(metadata, passkeys=True)
    metadata.create_all(database.engine())
    assert commands.verify(database.engine(), plain_settings(), history=PASSKEYS).findings == ()
