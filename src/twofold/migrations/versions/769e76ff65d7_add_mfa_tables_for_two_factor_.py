"""Add MFA tables for two-factor authentication.

Which index serves which lookup:

    user_mfa_secrets    UNIQUE (user_id)                  the user's row, read and written at every operation
                        (user_id, is_enabled)             who has a confirmed factor
    mfa_backup_codes    UNIQUE (user_id, code_hash)       a code that is spent, and no code twice
                        (code_hash)                       a hash, whoever's it is
                        (user_id, is_used)                codes that remain; everything by user_id
    mfa_device_trusts   UNIQUE (trust_token)              the device of a cookie
                        (user_id, device_fingerprint)     the device of a browser; everything by user_id
                        (user_id, trusted_until)          a user's devices that are still trusted
    mfa_events          UNIQUE (user_id, seq)             a user's events by page, the chain; everything by user_id
                        (event_type, created_at)          what happened lately, of one kind
                        BRIN (created_at), PostgreSQL     old events, to prune them

No index repeats the leading column of another.

Columns of user_mfa_secrets that stand for more than their names say. All have a default or may be NULL, so that an
older program goes on inserting rows:

    version                         one more with every write; challenges and proofs are numbered by it
    codes_digest, devices_digest    the rows of the other tables that are in force, as they were left
    passkeys_digest, cases_digest   the same, for tables that other histories make
    proofs_after                    proofs up to this version are void
    failure_level and _at           wrong codes of the last weeks, which a right one does not take back
    setup_tries                     wrong codes in the set-up that is pending
    lines_today, lines_day          how many lines the log took on that day
    epoch                           random; sessions that began under another one have ended
    shown_codes                     backup codes, sealed, until their owner says that they are kept
    last_answer                     a keyed hash of the answer to last_challenge, for the half minute after it
    changes_suspended_at            since when the factors may not be changed

Revision ID: 769e76ff65d7
Revises: 6f65d833c956
"""

from __future__ import annotations

from alembic import context

from twofold.schema import add_mfa_tables
from twofold.schema.users.users import configured

revision = "769e76ff65d7"
down_revision = "6f65d833c956"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables that are missing. What exists has to conform, or nothing is changed."""
    add_mfa_tables.upgrade(str(configured(context.config)))


def downgrade() -> None:
    """Drop the tables, and with them every enrolment; their indexes go with them, under whatever name."""
    add_mfa_tables.downgrade()
