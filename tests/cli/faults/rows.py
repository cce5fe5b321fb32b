"""What stands in the rows."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from tests.attacks.passkey_acts import registered
from tests.cli.faults.fault import FILE, Faults, Sick
from tests.people import FIREFOX, ORIGIN, log_in, plain_settings
from twofold import MFA
from twofold.budget import FAILURE
from twofold.keyring import generate_key
from twofold.testing import VirtualPasskey

FAULTS = Faults()


@FAULTS.add(
    "a user's row that was changed by hand",
    "sampled rows",
    "wrong",
    "Of 1 sampled row, 1 is not as Twofold wrote it",
    "twofold users status {user}",
)
def _(sick: Sick) -> None:
    sick.sql("UPDATE user_mfa_secrets SET is_enabled = false")


@FAULTS.add(
    "backup codes that were changed by hand",
    "sampled rows",
    "wrong",
    "with their codes, devices and passkeys: user {user}.",
    "twofold users status {user}",
)
def _(sick: Sick) -> None:
    sick.sql("DELETE FROM mfa_backup_codes WHERE id = (SELECT id FROM (SELECT min(id) AS id FROM mfa_backup_codes) x)")


@FAULTS.add(
    "trusted devices that were changed by hand",
    "sampled rows",
    "wrong",
    "with their codes, devices and passkeys: user {user}.",
    "twofold users status {user}",
)
def _(sick: Sick) -> None:
    sick.clock.forward(seconds=31)
    verified = log_in(sick.mfa, sick.ada, sick.enrolled.phone.code())
    sick.mfa.trusted_devices.trust(verified, request=FIREFOX)
    sick.clock.now = datetime.now(UTC)
    sick.sql("UPDATE mfa_device_trusts SET browser = 'Chrome'")


@FAULTS.add(
    "passkeys that were changed by hand",
    "sampled rows",
    "wrong",
    "with their codes, devices and passkeys: user {user}.",
    "twofold users status {user}",
)
def _(sick: Sick) -> None:
    assert sick.shell("db", "upgrade", "--passkeys").code == 0
    settings = plain_settings(keys=sick.shell.environment["keys"], public_url=ORIGIN)
    mfa = MFA(sick.database.engine(), settings, clock=sick.clock)
    registered(mfa, sick.ada, VirtualPasskey(ORIGIN), sick.enrolled.verified)
    sick.clock.now = datetime.now(UTC)
    sick.sql("UPDATE mfa_passkeys SET sign_count = 4711")


@FAULTS.add(
    "another key of the same name, or another deployment",
    "needed keys",
    "wrong",
    "k1 is another key than the one that wrote 2 secrets, 2 users' rows",
    "twofold keys status",
)
def _(sick: Sick) -> None:
    sick.sql("INSERT INTO users (subject, created_at) VALUES ('eve@example.com', '2026-01-01 00:00:00')")
    with sick.database.engine().connect() as connection:
        eve = connection.execute(sa.text("SELECT id FROM users WHERE subject = 'eve@example.com'")).scalar_one()
    sick.mfa.totp.begin(eve, account_name="eve@example.com")
    sick.set(keys=generate_key("k1"))


@FAULTS.add(
    "events that were changed by hand", "sampled events", "wrong", "is not as Twofold wrote it", "twofold events verify"
)
def _(sick: Sick) -> None:
    sick.sql("UPDATE mfa_events SET ip_address = '192.0.2.99' WHERE seq = 2")


@FAULTS.add(
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


@FAULTS.add(
    "rows of before that were not adopted: plain secrets",
    "legacy rows",
    "wrong",
    "Of before Twofold: 1 row.",
    "twofold secrets import-legacy",
)
def _(sick: Sick) -> None:
    sick.sql(_EVE, _PLAIN)


@FAULTS.add(
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


@FAULTS.add(
    "live backup codes of before, which are short",
    "older codes",
    "note",
    "1 user with backup codes of before Twofold, at most 1 each.",
    "Ask these users to make new backup codes, which have 125 bits.",
)
def _(sick: Sick) -> None:
    sick.sql(
        _EVE,
        "INSERT INTO mfa_backup_codes (user_id, code_hash, is_used, created_at) "
        f"SELECT id, '{'5e' * 32}', false, created_at FROM users WHERE subject = 'eve@example.com'",
    )
    sick.mfa.legacy.adopt()


@FAULTS.add(
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


@FAULTS.add(
    "`TWOFOLD_LEGACY_ROWS` after the move",
    "legacy settings",
    "note",
    "TWOFOLD_LEGACY_ROWS is set, and no row of before is left",
    "Take TWOFOLD_LEGACY_ROWS out.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(legacy_rows="true")


@FAULTS.add(
    "a Fernet key after the move",
    "legacy settings",
    "note",
    "TWOFOLD_LEGACY_FERNET_KEY is set, and no row of before is left",
    "Take TWOFOLD_LEGACY_FERNET_KEY out.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(legacy_fernet_key="NuCLZRjqgjZpVPDlBJ4UqI8v2lTIsNrPgkxKeTYtfZw=")


@FAULTS.add(
    "moments that are still to come",
    "moments",
    "note",
    "1 row holds a moment still to come.",
    "A clock stood ahead: synchronise every machine with NTP.",
)
def _(sick: Sick) -> None:
    sick.clock.forward(hours=3)
    sick.mfa.challenge(sick.ada)


@FAULTS.add(
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
