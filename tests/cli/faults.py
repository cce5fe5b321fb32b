"""What `twofold doctor` finds: each fault, how it is planted, what is said of it, and the next step.

docs/cli.md has the same table: `python -m tests.cli.documented` writes it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event

from tests.databases import BACKENDS
from tests.people import FIREFOX, log_in
from twofold.budget import FAILURE
from twofold.events import signing
from twofold.keyring import generate_key

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Shell
    from tests.databases import Database
    from tests.people import Clock, Enrolment
    from twofold import MFA

REVISION = "769e76ff65d7"


@dataclass
class Sick:
    """An installation that is well, with ada enrolled, until something is done to it."""

    shell: Shell
    database: Database
    folder: Path
    mfa: MFA
    enrolled: Enrolment
    ada: int
    clock: Clock
    cure: contextlib.ExitStack
    options: list[str] = field(default_factory=list[str])

    def sql(self, *statements: str, **values: Any) -> None:
        with self.database.engine().begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement), values)

    def set(self, **variables: str) -> None:
        self.shell.environment.update(variables)

    def write(self, text: str, mode: int) -> str:
        path = self.folder / "planted"
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def on_every_connection(self, what: Callable[[Any], object]) -> None:
        """Do something to each connection that is taken, as a proxy or an unlucky driver would."""

        def taken(connection: Any, *_: Any) -> None:
            what(connection)

        event.listen(sa.Engine, "checkout", taken)
        self.cure.callback(event.remove, sa.Engine, "checkout", taken)

    def shadow(self, function: str, body: str) -> None:
        """Put a function before PostgreSQL's own."""
        name = sa.make_url(self.database.url).database
        self.sql(
            f"CREATE FUNCTION public.{function} LANGUAGE sql AS $$ SELECT {body} $$",
            f"ALTER DATABASE {name} SET search_path = public, pg_catalog",
        )


@dataclass(frozen=True)
class Fault:
    """`said` and `next_step` are parts of what is said; {planted} is a file, and {user} whose row it is."""

    name: str
    about: str
    state: str
    said: str
    next_step: str
    plant: Callable[[Sick], object]
    backends: tuple[str, ...]


FAULTS: list[Fault] = []


def fault(
    name: str, about: str, state: str, said: str, next_step: str = "", *, on: tuple[str, ...] = BACKENDS
) -> Callable[[Callable[[Sick], object]], Callable[[Sick], object]]:
    """Add a fault to the table."""

    def add(plant: Callable[[Sick], object]) -> Callable[[Sick], object]:
        FAULTS.append(Fault(name, about, state, said, next_step, plant, on))
        return plant

    return add


FILE = ("sqlite",)
"""What no database makes a difference to is planted on one."""


# Keys and settings


@fault(
    "no keys",
    "keys",
    "wrong",
    "There are no keys; make one with `twofold keys generate` and set TWOFOLD_KEYS.",
    on=FILE,
)
def _(sick: Sick) -> None:
    del sick.shell.environment["keys"]


@fault("a key that is cut off, or no base64", "keys", "wrong", "Key 1 has 31 bytes; a key has 32.", on=FILE)
def _(sick: Sick) -> None:
    sick.set(keys=f"k1:{'QUJD' * 10}QQ==")


@fault(
    "a key file that others can read",
    "keys file",
    "wrong",
    "can be read or written by others (mode 0644).",
    "chmod 600 {planted}",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(keys_file=sick.write(sick.shell.environment.pop("keys"), 0o644))


@fault(
    "a key that rows need and nobody has",
    "needed keys",
    "wrong",
    "k1 is missing: 1 secret, 1 user's row, 10 unused backup codes cannot be read without it.",
    "twofold keys status",
)
def _(sick: Sick) -> None:
    sick.set(keys=generate_key("other"))


@fault("a setting outside its limits", "settings", "wrong", "TWOFOLD_DIGITS must be less than or equal to 8", on=FILE)
def _(sick: Sick) -> None:
    sick.set(digits="9")


@fault(
    "settings that contradict each other",
    "settings",
    "wrong",
    "TWOFOLD_SUSPEND_AFTER is wrong: it has to be more than TWOFOLD_FREE_FAILURES, or nobody ever waits.",
    "docs/settings.md lists every setting.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(free_failures="5", suspend_after="5")


@fault(
    "a variable that was misspelt, in the environment or in the `.env` file",
    "variables",
    "wrong",
    "TWOFOLD_DEVICES_LIMIT is no setting, and what it says is ignored: did you mean TWOFOLD_DEVICE_LIMIT?",
    "Set TWOFOLD_DEVICE_LIMIT, or take TWOFOLD_DEVICES_LIMIT out.",
    on=FILE,
)
def _(sick: Sick) -> None:
    (sick.folder / ".env").write_text("TWOFOLD_DEVICES_LIMIT=0\n")


@fault(
    "other variables that begin with `TWOFOLD_`",
    "variables",
    "note",
    "Not read, since there are no such settings: TWOFOLD_SERVICE_HOST.",
    "docs/settings.md lists every setting.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(service_host="192.0.2.7")


@fault("a checkpoint key that is none", "checkpoint key", "wrong", "A private checkpoint key is one line", on=FILE)
def _(sick: Sick) -> None:
    sick.set(checkpoint_key="sekret")


@fault(
    "a checkpoint key that others can read", "checkpoint key", "wrong", "(mode 0666).", "chmod 600 {planted}", on=FILE
)
def _(sick: Sick) -> None:
    sick.set(checkpoint_key_file=sick.write(signing.generate_key(), 0o666))


@fault("a Fernet key that is none", "Fernet keys", "wrong", "TWOFOLD_LEGACY_FERNET_KEY holds no Fernet key.", on=FILE)
def _(sick: Sick) -> None:
    sick.set(legacy_fernet_key="sekret")


@fault(
    "a `.env` file with secrets that others can read",
    "env file",
    "wrong",
    "can be read or written by others (mode 0644).",
    "chmod 600 {planted}",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.options += ["--env-file", sick.write(f"TWOFOLD_KEYS={sick.shell.environment.pop('keys')}\n", 0o644)]


# The database


@fault(
    "a database that does not answer",
    "database",
    "wrong",
    "The database does not answer",
    "Start the server, or correct TWOFOLD_DATABASE_URL.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(database_url="postgresql://ada:sekret@127.0.0.1:1/app")


@fault(
    "a SQLite file that is not there",
    "database",
    "wrong",
    "There is no file {planted}; `twofold db upgrade` makes it.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(database_url=f"sqlite:///{sick.folder / 'planted'}")


@fault("an old server", "version", "wrong", "is too old.", "Twofold needs", on=("sqlite", "postgresql"))
def _(sick: Sick) -> None:
    if sick.database.backend == "postgresql":
        sick.shadow("version() RETURNS text", "'PostgreSQL 11.22'::text")
    else:
        sick.on_every_connection(lambda connection: connection.create_function("sqlite_version", 0, lambda: "3.30.1"))


@fault(
    "MySQL in the place of MariaDB",
    "version",
    "note",
    "This is not MariaDB; Twofold is not tested on MySQL.",
    on=("mariadb",),
)
def _(sick: Sick) -> None:
    def other(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return statement.replace("SELECT version()", "SELECT '8.4.3'"), parameters

    event.listen(sa.Engine, "before_cursor_execute", other, retval=True)
    sick.cure.callback(event.remove, sa.Engine, "before_cursor_execute", other)


@fault(
    "foreign keys that are off",
    "foreign keys",
    "wrong",
    "are not enforced.",
    "On SQLite every connection asks for them: PRAGMA foreign_keys = ON",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.on_every_connection(lambda connection: connection.execute("PRAGMA foreign_keys = OFF"))


@fault(
    "a standby",
    "primary",
    "wrong",
    "This is a standby, or a server that takes no writes: nobody can log in over it.",
    "Name the primary in TWOFOLD_DATABASE_URL",
    on=("postgresql", "mariadb"),
)
def _(sick: Sick) -> None:
    if sick.database.backend == "postgresql":
        sick.shadow("pg_is_in_recovery() RETURNS boolean", "true")
        return
    sick.cure.callback(sick.sql, "SET GLOBAL read_only = 0")
    sick.sql("SET GLOBAL read_only = 1")


@fault(
    "clocks that are apart",
    "clock",
    "wrong",
    "The database's clock and this machine's are 3600 s apart",
    "Synchronise both with NTP",
    on=("sqlite", "postgresql"),
)
def _(sick: Sick) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    if sick.database.backend == "postgresql":
        sick.shadow("clock_timestamp() RETURNS timestamptz", f"'{ahead.isoformat()}'::timestamptz")
        return
    julian = ahead.timestamp() / 86400 + 2440587.5
    sick.on_every_connection(lambda connection: connection.create_function("julianday", 1, lambda _: julian))


# Users, tables, revision


@fault(
    "no users' table",
    "users",
    "wrong",
    "There is no table members.",
    "Set TWOFOLD_USERS to the key of your users' table, as table.column.",
)
def _(sick: Sick) -> None:
    sick.set(users="members.id")


@fault(
    "no such column",
    "users",
    "wrong",
    "users has no column number.",
    "Set TWOFOLD_USERS to the key of your users' table, as table.column.",
)
def _(sick: Sick) -> None:
    sick.set(users="users.number")


@fault(
    "a users' column that is not unique",
    "users",
    "wrong",
    "is neither the primary key nor unique.",
    "Set TWOFOLD_USERS to the key of your users' table, as table.column.",
)
def _(sick: Sick) -> None:
    sick.set(users="users.created_at")


@fault(
    "a users' column of no type for it",
    "users",
    "wrong",
    "neither an integer, a UUID nor a text",
    "Set TWOFOLD_USERS to the key of your users' table, as table.column.",
)
def _(sick: Sick) -> None:
    sick.sql("CREATE TABLE moments (at TIMESTAMP NOT NULL PRIMARY KEY)")
    sick.set(users="moments.at")


@fault("no tables of ours", "schema", "wrong", "The four tables are not there.", "twofold db upgrade")
def _(sick: Sick) -> None:
    sick.sql(*(f"DROP TABLE {name}" for name in ("mfa_events", "mfa_device_trusts", "mfa_backup_codes")))
    sick.sql("DROP TABLE user_mfa_secrets")


@fault(
    "a table that is missing",
    "schema",
    "wrong",
    "The tables differ from the revision: 1 difference. mfa_device_trusts: table: missing",
    "twofold db verify",
)
def _(sick: Sick) -> None:
    sick.sql("DROP TABLE mfa_device_trusts")


@fault("a column that is missing", "schema", "wrong", "mfa_events: column user_agent: missing", "twofold db verify")
def _(sick: Sick) -> None:
    sick.sql("ALTER TABLE mfa_events DROP COLUMN user_agent")


@fault(
    "tables of another schema, found along the search path",
    "schema",
    "wrong",
    "in schema public, while new tables go to app",
    "twofold db verify",
    on=("postgresql",),
)
def _(sick: Sick) -> None:
    name = sa.make_url(sick.database.url).database
    sick.sql("CREATE SCHEMA app", f"ALTER DATABASE {name} SET search_path = app, public")


@fault(
    "row security that binds the role",
    "row security",
    "wrong",
    "Row security of user_mfa_secrets binds the role",
    "ALTER TABLE ... DISABLE ROW LEVEL SECURITY, or a role with BYPASSRLS for Twofold.",
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


@fault(
    "a revision that is not recorded",
    "revision",
    "note",
    "The tables conform to revision 769e76ff65d7, which alembic_version_twofold does not record.",
    "twofold db upgrade",
)
def _(sick: Sick) -> None:
    sick.sql("DELETE FROM alembic_version_twofold")


@fault(
    "a revision that nobody knows",
    "revision",
    "wrong",
    "alembic_version_twofold records deadbeef, which is no revision of this version of Twofold.",
    "twofold db upgrade",
)
def _(sick: Sick) -> None:
    sick.sql("UPDATE alembic_version_twofold SET version_num = 'deadbeef'")


@fault(
    "a version table of several rows",
    "revision",
    "wrong",
    "alembic_version_twofold has 2 rows, and a history has one",
    "twofold db upgrade",
)
def _(sick: Sick) -> None:
    sick.sql("INSERT INTO alembic_version_twofold (version_num) VALUES ('6f65d833c956')")


# Rows


@fault(
    "a user's row that was changed by hand",
    "sampled rows",
    "wrong",
    "Of 1 sampled row, 1 is not as Twofold wrote it",
    "twofold users status {user}",
)
def _(sick: Sick) -> None:
    sick.sql("UPDATE user_mfa_secrets SET is_enabled = false")


@fault(
    "backup codes that were changed by hand",
    "sampled rows",
    "wrong",
    "with their codes and devices: user {user}.",
    "twofold users status {user}",
)
def _(sick: Sick) -> None:
    sick.sql("DELETE FROM mfa_backup_codes WHERE id = (SELECT id FROM (SELECT min(id) AS id FROM mfa_backup_codes) x)")


@fault(
    "trusted devices that were changed by hand",
    "sampled rows",
    "wrong",
    "with their codes and devices: user {user}.",
    "twofold users status {user}",
)
def _(sick: Sick) -> None:
    sick.clock.forward(seconds=31)
    verified = log_in(sick.mfa, sick.ada, sick.enrolled.phone.code())
    sick.mfa.trusted_devices.trust(verified, request=FIREFOX)
    sick.clock.now = datetime.now(UTC)
    sick.sql("UPDATE mfa_device_trusts SET browser = 'Chrome'")


@fault(
    "rows that all look altered: other keys",
    "sampled rows",
    "wrong",
    "Of 2 sampled rows, none is as Twofold wrote it: the keys may be others.",
    "Compare TWOFOLD_KEYS with those of the application; repair nothing yet.",
)
def _(sick: Sick) -> None:
    sick.sql("INSERT INTO users (subject, created_at) VALUES ('eve@example.com', '2026-01-01 00:00:00')")
    with sick.database.engine().connect() as connection:
        eve = connection.execute(sa.text("SELECT id FROM users WHERE subject = 'eve@example.com'")).scalar_one()
    sick.mfa.totp.begin(eve, account_name="eve@example.com")
    sick.set(keys=generate_key("k1"))


@fault(
    "events that were changed by hand", "sampled events", "wrong", "is not as Twofold wrote it", "twofold events verify"
)
def _(sick: Sick) -> None:
    sick.sql("UPDATE mfa_events SET ip_address = '192.0.2.99' WHERE seq = 2")


@fault(
    "rows whose user is gone",
    "orphans",
    "wrong",
    "Rows whose users are gone: user_mfa_secrets of 1 user",
    "DELETE FROM",
)
def _(sick: Sick) -> None:
    match sick.database.backend:
        case "sqlite":
            off, on = "PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON"
        case "postgresql":
            off, on = "SET session_replication_role = replica", "RESET session_replication_role"
        case _:
            off, on = "SET foreign_key_checks = 0", "SET foreign_key_checks = 1"
    engine = sick.database.engine().execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in (off, "DELETE FROM users", on):
            connection.exec_driver_sql(statement)


_PLAIN = (
    "INSERT INTO user_mfa_secrets (user_id, secret, is_enabled, is_verified, created_at, updated_at) "
    "SELECT id, 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', true, true, created_at, created_at FROM users "
    "WHERE subject = 'eve@example.com'"
)
_EVE = "INSERT INTO users (subject, created_at) VALUES ('eve@example.com', '2026-01-01 00:00:00')"


@fault(
    "rows of before that were not adopted: plain secrets",
    "legacy rows",
    "wrong",
    "Of before Twofold: 1 row.",
    "twofold secrets import-legacy",
)
def _(sick: Sick) -> None:
    sick.sql(_EVE, _PLAIN)


@fault(
    "bare hashes of backup codes",
    "legacy rows",
    "wrong",
    "1 bare hash of a backup code.",
    "twofold secrets import-legacy",
)
def _(sick: Sick) -> None:
    sick.sql(
        _EVE,
        "INSERT INTO mfa_backup_codes (user_id, code_hash, is_used, created_at) "
        f"SELECT id, '{'5e' * 32}', false, created_at FROM users WHERE subject = 'eve@example.com'",
    )


@fault(
    "the same while a move goes on",
    "legacy rows",
    "note",
    "Each is adopted when it is met.",
    "twofold secrets import-legacy",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.sql(_EVE, _PLAIN)
    sick.set(legacy_rows="true")


@fault(
    "`TWOFOLD_LEGACY_ROWS` after the move",
    "legacy settings",
    "note",
    "TWOFOLD_LEGACY_ROWS is set, and no row of before is left",
    "Take TWOFOLD_LEGACY_ROWS out.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(legacy_rows="true")


@fault(
    "a Fernet key after the move",
    "legacy settings",
    "note",
    "TWOFOLD_LEGACY_FERNET_KEY is set, and no row of before is left",
    "Take TWOFOLD_LEGACY_FERNET_KEY out.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(legacy_fernet_key="NuCLZRjqgjZpVPDlBJ4UqI8v2lTIsNrPgkxKeTYtfZw=")


@fault(
    "moments that are still to come",
    "moments",
    "note",
    "1 row holds a moment still to come.",
    "A clock stood ahead: synchronise every machine with NTP.",
)
def _(sick: Sick) -> None:
    sick.clock.forward(hours=3)
    sick.mfa.challenge(sick.ada)


@fault(
    "users who are suspended, or whose guess budget is full",
    "refused users",
    "note",
    "Codes of the app are refused of 2 users: 1 suspended, 1 with too many failures",
    "twofold events list",
)
def _(sick: Sick) -> None:
    sick.sql(
        _EVE,
        "INSERT INTO user_mfa_secrets (user_id, is_enabled, failed_attempts, failure_level, failure_level_at, "
        "created_at, updated_at) SELECT id, true, 0, :full, :now, created_at, created_at FROM users "
        "WHERE subject = 'eve@example.com'",
        "UPDATE user_mfa_secrets SET failed_attempts = 100 WHERE failure_level = 0",
        full=100 * FAILURE,
        now=datetime.now(UTC).replace(tzinfo=None),
    )


# Policy


@fault(
    "odds of a guess before the suspension",
    "guess odds",
    "note",
    "at most 0.05 % ever",
    "More TWOFOLD_DIGITS, a smaller TWOFOLD_WINDOW or TWOFOLD_SUSPEND_AFTER lower it.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(window="2", suspend_after="100")


@fault(
    "odds of a guess in a year",
    "guess odds",
    "note",
    "at most 1.6 % in a year",
    "A smaller TWOFOLD_FAILURE_LIMIT or a longer TWOFOLD_FAILURE_MEMORY lower the year's.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(failure_memory="P7D")


@fault(
    "a budget that is spent within a day",
    "guess odds",
    "note",
    "needs 0.0 days for all 100",
    "A longer TWOFOLD_FIRST_WAIT and TWOFOLD_LONGEST_WAIT leave the owner at least a day to notice.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(first_wait="1", longest_wait="1")


@fault("a code that lives long", "policy", "note", "TWOFOLD_WINDOW is 2: a code lives 150 s.", on=FILE)
def _(sick: Sick) -> None:
    sick.set(window="2")


@fault(
    "many wrong codes without a wait",
    "policy",
    "note",
    "TWOFOLD_FREE_FAILURES is 10: so many codes cost no wait.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(free_failures="10")


@fault("a first wait of a second", "policy", "note", "TWOFOLD_FIRST_WAIT is 1 s: a program hardly waits.", on=FILE)
def _(sick: Sick) -> None:
    sick.set(first_wait="1")


@fault("a longest wait of a second", "policy", "note", "TWOFOLD_LONGEST_WAIT is 1 s: no wait grows beyond it.", on=FILE)
def _(sick: Sick) -> None:
    sick.set(first_wait="1", longest_wait="1")


@fault(
    "trusted devices for months",
    "policy",
    "note",
    "TWOFOLD_DEVICE_LIFETIME: a trusted device skips the second factor for over 90 days.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(device_lifetime="P100D")


@fault(
    "a long time for which an old device token serves",
    "policy",
    "note",
    "TWOFOLD_DEVICE_GRACE is 300 s: a copied cookie serves beside the real one.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(device_grace="300")


@fault(
    "a proof that lasts long",
    "policy",
    "note",
    "TWOFOLD_PROOF_MAX_AGE: a proven factor allows its own management for over 15 minutes.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(proof_max_age="PT1H")
