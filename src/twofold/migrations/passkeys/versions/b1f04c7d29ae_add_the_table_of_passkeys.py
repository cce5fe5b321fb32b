"""Add the table of passkeys.

It stands in a history of its own, so that one step down from the newest revision of the four tables goes on taking
those four. They have to be there before this one: what a user's passkeys are is sealed in `user_mfa_secrets`.

Which index serves which lookup:

    mfa_passkeys        UNIQUE (credential_key)           the passkey of an answer, and no credential twice
                        (user_id, revoked_at)             a user's passkeys, those in force; everything by user_id

Columns that stand for more than their names say:

    credential_key                  a keyed hash of the relying party and the credential's id
    credential_id, public_key       sealed
    user_handle                     random, the same for all passkeys of a user
    sign_count                      what the authenticator counted last; 0 for ever where it counts nothing
    backup_eligible, backup_state   whether the passkey may be synced, and whether it was
    suspended_at                    since when it is not accepted, as its counter went back

Revision ID: b1f04c7d29ae
Revises: nothing
"""

from __future__ import annotations

from alembic import context

from twofold.schema import add_passkeys_table
from twofold.schema.users.users import configured

revision = "b1f04c7d29ae"
down_revision = None
# A host that takes this history as a branch of its own says twofold_passkeys@head.
branch_labels = ("twofold_passkeys",)
depends_on = None


def upgrade() -> None:
    """Create the table where it is missing. Where it exists it has to conform, or nothing is changed."""
    add_passkeys_table.upgrade(str(configured(context.config)))


def downgrade() -> None:
    """Drop the table, and with it every passkey; its indexes go with it, under whatever name."""
    add_passkeys_table.downgrade()
