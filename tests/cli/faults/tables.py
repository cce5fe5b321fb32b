"""Users, tables and the revision."""

from __future__ import annotations

import secrets
import sys
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from tests.cli.faults.fault import FILE, Faults, Sick
from tests.passkeys.makers import Maker

FAULTS = Faults()


@FAULTS.add(
    "no users' table",
    "users",
    "wrong",
    "There is no members.id in the database.",
    "Say where your users are: TWOFOLD_USERS=users.id.",
)
def _(sick: Sick) -> None:
    sick.set(users="members.id")


@FAULTS.add(
    "users in a table of another name",
    "users",
    "note",
    "users was made by `twofold db upgrade` and is empty, beside other tables: accounts.",
    "If your users are in one of them: twofold db downgrade, drop users, set TWOFOLD_USERS, and upgrade again.",
)
def _(sick: Sick) -> None:
    sick.sql("DELETE FROM users", "CREATE TABLE accounts (number BIGINT PRIMARY KEY)")


@FAULTS.add(
    "no such column",
    "users",
    "wrong",
    "users has no column number.",
    "Set TWOFOLD_USERS to the key of your users' table, as table.column.",
)
def _(sick: Sick) -> None:
    sick.set(users="users.number")


@FAULTS.add(
    "a users' column that is not unique",
    "users",
    "wrong",
    "it is neither the primary key nor unique.",
    "Give created_at a unique key of its own, or name another key in TWOFOLD_USERS, as table.column.",
)
def _(sick: Sick) -> None:
    sick.set(users="users.created_at")


@FAULTS.add(
    "users that are a view",
    "users",
    "wrong",
    "everybody is a view, which no foreign key can reference.",
    "Name the key of the table behind it in TWOFOLD_USERS.",
)
def _(sick: Sick) -> None:
    sick.sql("CREATE VIEW everybody AS SELECT id FROM users")
    sick.set(users="everybody.id")


@FAULTS.add(
    "a users' column of no type for it",
    "users",
    "wrong",
    "which is no key that is served: an integer, a number without fractions, a UUID, a text or bytes.",
    "Give the users a key of such a kind beside it, and name that in TWOFOLD_USERS, as table.column.",
)
def _(sick: Sick) -> None:
    sick.sql("CREATE TABLE moments (at TIMESTAMP NOT NULL PRIMARY KEY)")
    sick.set(users="moments.at")


@FAULTS.add("no tables of ours", "schema", "wrong", "The four tables are not there.", "twofold db upgrade")
def _(sick: Sick) -> None:
    sick.sql(*(f"DROP TABLE {name}" for name in ("mfa_events", "mfa_device_trusts", "mfa_backup_codes")))
    sick.sql("DROP TABLE user_mfa_secrets")


@FAULTS.add(
    "a table that is missing",
    "schema",
    "wrong",
    "The tables differ from the revision: 1 difference. mfa_device_trusts: table: missing",
    "twofold db verify",
)
def _(sick: Sick) -> None:
    sick.sql("DROP TABLE mfa_device_trusts")


@FAULTS.add(
    "a column that is missing", "schema", "wrong", "mfa_events: column user_agent: missing", "twofold db verify"
)
def _(sick: Sick) -> None:
    sick.sql("ALTER TABLE mfa_events DROP COLUMN user_agent")


@FAULTS.add(
    "tables of another schema, found along the search path",
    "schema",
    "wrong",
    "The four tables are not there.",
    "twofold db upgrade",
    on=("postgresql",),
)
def _(sick: Sick) -> None:
    name = sa.make_url(sick.database.url).database
    sick.sql("CREATE SCHEMA app", f"ALTER DATABASE {name} SET search_path = app, public")


@FAULTS.add(
    "row security that binds the role",
    "row security",
    "wrong",
    "Row security of user_mfa_secrets binds the role",
    "ALTER TABLE ... DISABLE ROW LEVEL SECURITY, or a role with BYPASSRLS for Twofold. Where the role is that of your "
    "application, name the tenant there in a listener of the engine at begin or in on_connection=, or join your "
    "transaction with mfa.within(session).",
    on=("postgresql",),
)
def _(sick: Sick) -> None:
    role = f"app_{secrets.token_hex(4)}"
    sick.sql(
        f"CREATE ROLE {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        "ALTER TABLE user_mfa_secrets ENABLE ROW LEVEL SECURITY",
    )
    sick.set(database_url=f"{sick.database.url}?options=-c%20role%3D{role}")


@FAULTS.add(
    "a revision that is not recorded",
    "revision",
    "note",
    "The tables conform to revision 769e76ff65d7, which alembic_version_twofold does not record.",
    "twofold db upgrade",
)
def _(sick: Sick) -> None:
    sick.sql("DELETE FROM alembic_version_twofold")


@FAULTS.add(
    "a revision that nobody knows",
    "revision",
    "wrong",
    "alembic_version_twofold records deadbeef, which is no revision of this version of Twofold.",
    "twofold db upgrade",
)
def _(sick: Sick) -> None:
    sick.sql("UPDATE alembic_version_twofold SET version_num = 'deadbeef'")


@FAULTS.add(
    "a version table of several rows",
    "revision",
    "wrong",
    "alembic_version_twofold has 2 rows, and a history has one",
    "twofold db upgrade",
)
def _(sick: Sick) -> None:
    sick.sql("INSERT INTO alembic_version_twofold (version_num) VALUES ('6f65d833c956')")


@FAULTS.add(
    "a table of passkeys that differs",
    "passkeys",
    "wrong",
    "The table of passkeys differs from its revision: 1 difference.",
    "twofold db verify --passkeys",
)
def _(sick: Sick) -> None:
    assert sick.shell("db", "upgrade", "--passkeys").code == 0
    sick.sql("ALTER TABLE mfa_passkeys DROP COLUMN suspended_at")


@FAULTS.add(
    "a table of passkeys that is gone",
    "passkeys",
    "wrong",
    "The table of passkeys is recorded and not there.",
    "DELETE FROM alembic_version_twofold_passkeys; then twofold db upgrade --passkeys",
)
def _(sick: Sick) -> None:
    assert sick.shell("db", "upgrade", "--passkeys").code == 0
    sick.sql("DROP TABLE mfa_passkeys")


@FAULTS.add(
    "a table of passkeys that is not recorded",
    "passkeys",
    "note",
    "The table of passkeys conforms to its revision. alembic_version_twofold_passkeys does not record it.",
    "twofold db upgrade --passkeys",
)
def _(sick: Sick) -> None:
    assert sick.shell("db", "upgrade", "--passkeys").code == 0
    sick.sql("DELETE FROM alembic_version_twofold_passkeys")


@FAULTS.add(
    "passkeys that outlived the four tables",
    "passkeys",
    "wrong",
    "1 user with passkeys and without a row in user_mfa_secrets: each is refused.",
    "twofold users repair ID; where the four tables were made anew: twofold db downgrade --passkeys",
)
def _(sick: Sick) -> None:
    now = datetime(2026, 1, 1)  # noqa: DTZ001 -- Every database takes it without a zone.
    sick.sql("INSERT INTO users (id, subject, created_at) VALUES (:id, 'bob@example.com', :now)", id=99, now=now)
    _plant(sick, 99)


@FAULTS.add(
    "passkeys of a domain that is not set any more",
    "passkeys",
    "note",
    "1 user with passkeys of example.com: no login asks for one, since no domain is set.",
    "TWOFOLD_RP_ID=example.com with its TWOFOLD_ORIGINS brings them back; else their owners make new ones.",
)
def _(sick: Sick) -> None:
    _plant(sick, sick.ada)


@FAULTS.add(
    "passkeys of another domain",
    "passkeys",
    "note",
    "1 user with passkeys of example.com: logins ask for those of example.org alone.",
    "TWOFOLD_RP_ID=example.com with its TWOFOLD_ORIGINS brings them back; else their owners make new ones.",
)
def _(sick: Sick) -> None:
    _plant(sick, sick.ada)
    sick.set(public_url="https://example.org")


@FAULTS.add(
    "a domain for passkeys, and no table of them",
    "passkeys",
    "note",
    "TWOFOLD_RP_ID is set and the table of passkeys is not there: none are offered.",
    "twofold db upgrade --passkeys",
)
def _(sick: Sick) -> None:
    sick.set(rp_id="example.com", origins="https://example.com")


@FAULTS.add(
    "passkeys without their package",
    "passkeys",
    "wrong",
    "Passkeys need a package more: pip install 'twofold[passkeys]'.",
    on=FILE,
)
def _(sick: Sick) -> None:
    assert sick.shell("db", "upgrade", "--passkeys").code == 0
    sick.set(public_url="https://example.com")
    patch = sick.cure.enter_context(pytest.MonkeyPatch.context())
    patch.setitem(sys.modules, "webauthn", None)


@FAULTS.add(
    "passkeys of a domain that the pages are not of",
    "passkeys",
    "wrong",
    "Pages of https://example.com cannot ask for passkeys of example.org: no browser lets them.",
    "Set TWOFOLD_RP_ID to the domain that all of TWOFOLD_ORIGINS, or else TWOFOLD_PUBLIC_URL, end with.",
    on=FILE,
)
def _(sick: Sick) -> None:
    assert sick.shell("db", "upgrade", "--passkeys").code == 0
    sick.set(public_url="https://example.com", rp_id="example.org")


@FAULTS.add(
    "a list of models of passkeys that nobody proves",
    "passkeys",
    "note",
    "TWOFOLD_PASSKEY_AAGUIDS believes what browsers say: whoever changes that registers any model.",
    "TWOFOLD_PASSKEY_ATTESTATION=required, with TWOFOLD_PASSKEY_ROOTS, has makers vouch for them.",
    on=FILE,
)
def _(sick: Sick) -> None:
    assert sick.shell("db", "upgrade", "--passkeys").code == 0
    sick.set(public_url="https://example.com", passkey_aaguids="ee882879-721c-4913-9775-3dfcce97072a")


@FAULTS.add(
    "roots of makers that are over, every one",
    "passkeys",
    "wrong",
    "1 of 1 root in TWOFOLD_PASSKEY_ROOTS ended, the last on 2025-03-31: what is over lets no new passkey in.",
    "Put the roots that their makers use now into TWOFOLD_PASSKEY_ROOTS, and take the old ones out.",
    on=FILE,
)
def _(sick: Sick) -> None:
    assert sick.shell("db", "upgrade", "--passkeys").code == 0
    roots = Maker(ends=datetime(2025, 3, 31, tzinfo=UTC)).roots(sick.folder)
    sick.set(public_url="https://example.com", passkey_attestation="required", passkey_roots=str(roots))


@FAULTS.add(
    "roots of makers of which one is over",
    "passkeys",
    "note",
    "1 of 2 roots in TWOFOLD_PASSKEY_ROOTS ended, the last on 2025-03-31: what is over lets no new passkey in.",
    "Put the roots that their makers use now into TWOFOLD_PASSKEY_ROOTS, and take the old ones out.",
    on=FILE,
)
def _(sick: Sick) -> None:
    assert sick.shell("db", "upgrade", "--passkeys").code == 0
    folder = sick.folder / "roots"
    folder.mkdir()
    for maker in (Maker(ends=datetime(2025, 3, 31, tzinfo=UTC)), Maker("Another maker")):
        maker.roots(folder)
    sick.set(public_url="https://example.com", passkey_attestation="required", passkey_roots=str(folder))


@FAULTS.add(
    "passkeys of models that are not on the list",
    "passkeys",
    "note",
    "1 user with passkeys of models that are not in TWOFOLD_PASSKEY_AAGUIDS: they go on.",
    "They were registered before, or adopted; their owners, or `twofold users reset`, end them.",
)
def _(sick: Sick) -> None:
    _plant(sick, sick.ada)
    sick.set(public_url="https://example.com", passkey_aaguids="ee882879-721c-4913-9775-3dfcce97072a")


def _plant(sick: Sick, user_id: int) -> None:
    """Put a row into the table of passkeys, of the domain example.com."""
    assert sick.shell("db", "upgrade", "--passkeys").code == 0
    columns = "user_id, name, credential_key, credential_id, public_key, user_handle, rp_id, algorithm, created_at"
    values = ":id, 'blue key', 'v1:k1:check:00', 'sealed', 'sealed', 'handle', 'example.com', -7, :now"
    now = datetime(2026, 1, 1)  # noqa: DTZ001 -- Every database takes it without a zone.
    sick.sql(f"INSERT INTO mfa_passkeys ({columns}) VALUES ({values})", id=user_id, now=now)
