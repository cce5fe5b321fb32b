"""Fifty tenants on one PostgreSQL: each with an app, codes and events of its own, and most with the same ids of users.

A request says in which tenant it is, in a context variable, as the hosts of such tenants do. How the database hears of
it is the host's way: a search path, renamed schemas, or row security.
"""

from __future__ import annotations

import copy
import itertools
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import event

from tests.hosts.at_once import Made, core, engine_of, face_of
from tests.people import Clock, Phone, enroll, plain_settings
from twofold import MFA, Request
from twofold.database import create_engine
from twofold.keyring import generate_key
from twofold.metadata import NAMES
from twofold.schema import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from tests.databases import Sources
    from twofold import Verified
    from twofold.account.runtime import OnConnection

TENANTS = 50
APPLICATION = "the_application"
_MADE = ("CREATE", "INSERT", "UPDATE")
_numbers = itertools.count(1)


@dataclass
class Tenant:
    """A tenant with two users. One has an app; the other has one in every second tenant."""

    number: int
    user: int = 1
    other: int = 2
    clock: Clock = field(default_factory=Clock)
    accepted: int = 0
    device: str | None = None
    challenge: str | None = None
    verified: Verified | None = None
    phone: Phone = field(init=False)
    codes: list[str] = field(init=False)

    @property
    def name(self) -> str:
        return f"tenant_{self.number}"

    @property
    def has_other(self) -> bool:
        return self.number % 2 == 0

    @property
    def request(self) -> Request:
        """Where its requests come from: every line of its log says so, and no line of another's."""
        return Request("192.0.2.1", self.name)

    def move_in(self, mfa: MFA) -> None:
        """Give the user a new app, and forget what belonged to the one of before."""
        enrollment = mfa.totp.begin(self.user, account_name="ada@example.com", request=self.request)
        self.phone = Phone(enrollment.secret, self.clock)
        enrolled = mfa.totp.confirm(self.user, self.phone.code(), request=self.request)
        self.codes, self.verified = list(enrolled.backup_codes), enrolled.verified
        self.device = self.challenge = None


here: ContextVar[Tenant] = ContextVar("here")


def now() -> datetime:
    """The time of the tenant whose request this is."""
    return here.get().clock()


@dataclass
class Street:
    """The tenants, and the database that they are in."""

    url: str
    keys: str
    tenants: list[Tenant]
    is_apart: bool
    """Whether each has a schema of its own."""

    def execute(self, *statements: str) -> None:
        """Run statements, each by itself."""
        engine = create_engine(self.url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def settle(self) -> None:
        """Give the users their apps, each at a moment of its own."""
        engine = create_engine(self.url)
        for tenant in self.tenants:
            here.set(tenant)
            tenant.clock.forward(microseconds=tenant.number)
            at_home = engine.execution_options(schema_translate_map={None: tenant.name}) if self.is_apart else engine
            mfa = MFA(at_home, plain_settings(keys=self.keys), clock=now)
            tenant.move_in(mfa)
            if tenant.has_other:
                enroll(mfa, tenant.other, tenant.clock)
        engine.dispose()

    def logs(self) -> Iterator[tuple[Tenant, list[tuple[str, str]]]]:
        """Every line of each tenant's first user, whoever wrote it: its kind, and where it came from."""
        engine = create_engine(self.url)
        with engine.connect() as connection:
            for tenant in self.tenants:
                schema = tenant.name if self.is_apart else "public"
                asked = f"SELECT event_type, user_agent FROM {schema}.mfa_events WHERE user_id = {tenant.user}"
                yield tenant, [(kind, agent) for kind, agent in connection.exec_driver_sql(asked)]
        engine.dispose()

    @contextmanager
    def copied(self) -> Iterator[Street]:
        """A street like this one, which is torn down afterwards."""
        url = sa.make_url(self.url)
        name = f"{url.database}_{next(_numbers)}"
        admin = Street(url.set(database="postgres").render_as_string(hide_password=False), "", [], is_apart=False)
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {url.database}")
        yield Street(
            url.set(database=name).render_as_string(hide_password=False),
            self.keys,
            copy.deepcopy(self.tenants),
            self.is_apart,
        )
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def roles() -> tuple[str, ...]:
    """Who logs in: the application, and one role for each tenant."""
    return (APPLICATION, *(Tenant(number).name for number in range(TENANTS)))


def _role(name: str) -> str:
    return f"DO $$ BEGIN CREATE ROLE {name} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"


@contextmanager
def schemas(databases: Sources) -> Iterator[Street]:
    """Each tenant has a schema with users and tables of its own, and a role that begins there."""
    with databases.database("postgresql", migrated=False) as database:
        street = Street(database.url, generate_key("k1"), [Tenant(number) for number in range(TENANTS)], is_apart=True)
        said: list[str] = []
        first, engine = street.tenants[0], create_engine(database.url)
        event.listen(engine, "before_cursor_execute", lambda *call: said.append(call[2]))
        street.execute(f"CREATE SCHEMA {first.name}")
        commands.upgrade(engine.execution_options(schema_translate_map={None: first.name}), plain_settings())
        engine.dispose()
        made = [statement for statement in said if statement.lstrip().startswith(_MADE)]
        for tenant in street.tenants[1:]:
            renamed = (statement.replace(f"{first.name}.", f"{tenant.name}.") for statement in made)
            street.execute(f"CREATE SCHEMA {tenant.name}", *renamed)
        for tenant in street.tenants:
            street.execute(
                f"INSERT INTO {tenant.name}.users (id, subject, created_at) VALUES (1, 'a', now()), (2, 'b', now())",
                _role(tenant.name),
                f"ALTER ROLE {tenant.name} SET search_path = {tenant.name}",
                *_granted(tenant.name, tenant.name),
            )
        street.settle()
        yield street


@contextmanager
def policies(databases: Sources) -> Iterator[Street]:
    """All tenants share the tables, and row security shows the application the rows of the tenant that it names."""
    with databases.database("postgresql", migrated=True) as database:
        tenants = [Tenant(number, user=10 * number + 1, other=10 * number + 2) for number in range(TENANTS)]
        street = Street(database.url, generate_key("k1"), tenants, is_apart=False)
        ours = "tenant = current_setting('app.tenant', true)"
        street.execute(
            _role(APPLICATION),
            "ALTER TABLE users ADD COLUMN tenant TEXT",
            *(
                f"INSERT INTO users (id, subject, created_at, tenant) VALUES ({user}, '{user}', now(), '{tenant.name}')"
                for tenant in tenants
                for user in (tenant.user, tenant.other)
            ),
            *(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY" for name in ("users", *NAMES)),
            f"CREATE POLICY ours ON users TO {APPLICATION} USING ({ours})",
            *(
                f"CREATE POLICY ours ON {name} TO {APPLICATION} USING (user_id IN (SELECT id FROM users))"
                for name in NAMES
            ),
            *_granted("public", APPLICATION),
        )
        street.settle()
        yield street


def _granted(schema: str, role: str) -> Iterator[str]:
    yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
    for kind in ("TABLES", "SEQUENCES"):
        yield f"GRANT ALL ON ALL {kind} IN SCHEMA {schema} TO {role}"


class Host(NamedTuple):
    """An application on its engines; `face` is the library as it serves a tenant."""

    engines: list[Made]
    face: Callable[[Tenant], MFA]


@dataclass(frozen=True)
class Door:
    """How applications come to the database: an address, a driver, and whether a pooler stands between."""

    url: str
    driver: str
    is_pooled: bool
    keys: str

    def engine(self, user: str | None = None, **options: Any) -> Made:
        url = sa.make_url(self.url)
        url = url if user is None else url.set(username=user)
        text = url.render_as_string(hide_password=False)
        return engine_of(text, self.driver, is_pooled=self.is_pooled, **options)

    def face(self, engine: Made, on_connection: OnConnection | None = None, **options: Any) -> MFA:
        return face_of(engine, plain_settings(keys=self.keys, **options), now, on_connection)


def path_at_begin(door: Door, _tenants: list[Tenant]) -> Host:
    engine = door.engine()
    event.listen(core(engine), "begin", lambda one: one.exec_driver_sql(f"SET LOCAL search_path TO {here.get().name}"))
    face = door.face(engine)
    return Host([engine], lambda _tenant: face)


def path_on_connection(door: Door, _tenants: list[Tenant]) -> Host:
    engine = door.engine()
    face = door.face(engine, lambda one: one.exec_driver_sql(f"SET LOCAL search_path TO {here.get().name}"))
    return Host([engine], lambda _tenant: face)


def path_at_connect(door: Door, tenants: list[Tenant]) -> Host:
    """An engine for each tenant. Behind a pooler the role brings the path, since what SET says is for a connection."""
    faces, engines = dict[int, MFA](), list[Made]()
    for tenant in tenants:
        engine = door.engine(tenant.name if door.is_pooled else None, pool_size=1, max_overflow=0)
        if not door.is_pooled:
            event.listen(core(engine), "connect", _going_to(tenant))
        engines.append(engine)
        faces[tenant.number] = door.face(engine, pool_size=1)
    return Host(engines, lambda tenant: faces[tenant.number])


def _going_to(tenant: Tenant) -> Callable[[Any, Any], None]:
    def go(raw: Any, _record: Any) -> None:
        cursor = raw.cursor()
        cursor.execute(f"SET search_path TO {tenant.name}")
        cursor.close()
        raw.commit()

    return go


def renamed_schemas(door: Door, tenants: list[Tenant]) -> Host:
    engine = door.engine()
    faces = {
        tenant.number: door.face(engine.execution_options(schema_translate_map={None: tenant.name}))
        for tenant in tenants
    }
    return Host([engine], lambda tenant: faces[tenant.number])


def tenant_at_begin(door: Door, _tenants: list[Tenant]) -> Host:
    engine = door.engine(APPLICATION)
    event.listen(core(engine), "begin", lambda one: one.exec_driver_sql(f"SET LOCAL app.tenant = '{here.get().name}'"))
    face = door.face(engine)
    return Host([engine], lambda _tenant: face)


WAYS: dict[str, Callable[[Door, list[Tenant]], Host]] = {
    "search path at begin": path_at_begin,
    "search path on each connection": path_on_connection,
    "search path at connect": path_at_connect,
    "renamed schemas": renamed_schemas,
    "row security": tenant_at_begin,
}
