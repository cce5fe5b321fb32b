"""One answer to "which schema": what is merely found further along the search path is somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tests.people import Clock, enroll, log_in, plain_settings
from twofold import MFA, ConfigurationError, SchemaDrift
from twofold.database import create_engine
from twofold.schema import adoption, commands, spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database

pytestmark = pytest.mark.backends("postgresql")
OURS = {*spec.NAMES, spec.VERSION_TABLE}


@pytest.fixture
def public(migrated: Database) -> Database:
    """A database whose public schema is served, and which has two tenants with users of their own."""
    with migrated.engine().begin() as connection:
        connection.exec_driver_sql("INSERT INTO users (id, subject, created_at) VALUES (7, 'ada', now())")
        for tenant, key in (("tenant_b", "BIGINT"), ("tenant_c", "UUID")):
            connection.exec_driver_sql(f"CREATE SCHEMA {tenant}")
            connection.exec_driver_sql(f"CREATE TABLE {tenant}.users (id {key} PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO tenant_b.users VALUES (7)")
    return migrated


@pytest.fixture(params=["search path", "schema_translate_map"])
def tenant(request: Any, public: Database) -> Iterator[sa.Engine]:
    """An engine of the host's, in tenant_b with public behind it."""
    if request.param == "search path":
        options = {"options": "-csearch_path=tenant_b,public"}
        engine = create_engine(sa.make_url(public.url).update_query_dict(options).render_as_string(hide_password=False))
        yield engine
    else:
        engine = create_engine(public.url)
        yield engine.execution_options(schema_translate_map={None: "tenant_b"})
    engine.dispose()


def tables(database: Database, schema: str) -> set[str]:
    with database.engine().connect() as connection:
        return set(sa.inspect(connection).get_table_names(schema))


def count(database: Database, table: str) -> int:
    with database.engine().connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def test_a_second_tenant_gets_tables_of_its_own(public: Database, tenant: sa.Engine, keys: str, clock: Clock) -> None:
    settings = plain_settings(keys=keys)
    assert commands.current(tenant) is None
    assert commands.verify(tenant, settings).nothing_there
    commands.upgrade(tenant, settings)
    assert tables(public, "tenant_b") == {"users", *OURS}
    assert commands.current(tenant) == spec.REVISION
    assert commands.verify(tenant, settings).findings == ()

    here, beside = MFA(tenant, settings, clock=clock), MFA(public.engine(), settings, clock=clock)
    enrolment = enroll(here, 7, clock)
    clock.forward(seconds=60)
    assert log_in(here, 7, enrolment.phone.code()).user_id == 7
    assert not beside.status(7).is_enrolled
    assert count(public, "public.mfa_events") == 0

    enroll(beside, 7, clock)
    commands.downgrade(tenant, settings, "base")
    assert tables(public, "tenant_b") == {"users", spec.VERSION_TABLE}
    assert beside.status(7).is_enrolled
    commands.downgrade(tenant, settings, "base")
    assert tables(public, "public") >= OURS


def test_tables_of_another_tenant_are_neither_used_nor_dropped(
    public: Database, tenant: sa.Engine, keys: str, clock: Clock
) -> None:
    settings = plain_settings(keys=keys)
    with pytest.raises(SchemaDrift, match="not in this database"):
        MFA(tenant, settings, clock=clock).status(7)
    with pytest.raises(SchemaDrift):
        commands.stamp(tenant, settings)
    commands.upgrade(tenant, settings)
    with tenant.begin() as connection:
        connection.exec_driver_sql("DROP TABLE tenant_b.mfa_events")
    assert commands.verify(tenant, settings).missing == ("mfa_events",)
    commands.downgrade(tenant, settings)
    assert tables(public, "tenant_b") == {"users", spec.VERSION_TABLE}
    assert tables(public, "public") >= OURS


def test_adoption_repairs_the_tables_of_the_tenant_and_no_others(public: Database, keys: str) -> None:
    options = {"options": "-csearch_path=tenant_b,public"}
    settings = plain_settings(keys=keys)
    engine = create_engine(sa.make_url(public.url).update_query_dict(options).render_as_string(hide_password=False))
    commands.upgrade(engine, settings)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE mfa_events")
        connection.exec_driver_sql("DROP INDEX ix_mfa_backup_codes_code_hash")
    adoption.apply(engine, settings)
    assert commands.verify(engine, settings).findings == ()
    assert tables(public, "tenant_b") == {"users", *OURS}
    assert commands.verify(public.engine(), settings).findings == ()
    engine.dispose()
    mapped = public.engine().execution_options(schema_translate_map={None: "tenant_b"})
    with pytest.raises(ConfigurationError, match="schema_translate_map"):
        adoption.plan(mapped, settings)


@pytest.mark.parametrize("way", ["begin", "checkout", "within"])
def test_a_tenant_without_tables_never_falls_through_to_another_ones(
    public: Database, keys: str, clock: Clock, way: str
) -> None:
    settings, tenant = plain_settings(keys=keys), ["public"]
    engine = public.engine()

    def path() -> str:
        return f"SET search_path TO {tenant[0]}, public"

    if way == "begin":
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(path()))
    if way == "checkout":
        event.listen(engine, "checkout", lambda raw, *_: raw.cursor().execute(path()))
    mfa = MFA(engine, settings, clock=clock)

    def is_enrolled() -> bool:
        if way != "within":
            return mfa.status(7).is_enrolled
        with engine.begin() as connection:
            connection.exec_driver_sql(path())
            return mfa.within(connection).status(7).is_enrolled

    assert not is_enrolled()
    tenant[0] = "tenant_b"
    with pytest.raises(SchemaDrift, match="not in this database"):
        is_enrolled()
    tenant[0] = "public"
    assert not is_enrolled()


def test_no_current_schema_is_said_so(public: Database, keys: str) -> None:
    options = {"options": "-csearch_path=nowhere"}
    engine = create_engine(sa.make_url(public.url).update_query_dict(options).render_as_string(hide_password=False))
    with pytest.raises(ConfigurationError, match="No schema is current"):
        commands.upgrade(engine, plain_settings(keys=keys))
    engine.dispose()
