"""Every event, named once, in the past tense: what has happened to one user's second factor.

Tests: `tests/events/test_vocabulary.py`.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The `event_type` of a line. Where two outcomes share a kind, `event_status` tells them apart."""

    TOTP_BEGUN = "totp_begun"
    TOTP_CONFIRMED = "totp_confirmed"
    TOTP_DISABLED = "totp_disabled"
    PASSKEY_BEGUN = "passkey_begun"
    PASSKEY_REGISTERED = "passkey_registered"
    PASSKEY_RENAMED = "passkey_renamed"
    PASSKEY_REVOKED = "passkey_revoked"
    PASSKEY_CLONED = "passkey_cloned"
    DISABLED = "disabled"
    CHALLENGED = "challenged"
    CLEARED = "cleared"
    CODE_ACCEPTED = "code_accepted"
    ANSWER_REPEATED = "answer_repeated"
    CODE_REFUSED = "code_refused"
    CLOCK_SET_RIGHT = "clock_set_right"
    BACKUP_CODES_REGENERATED = "backup_codes_regenerated"
    BACKUP_CODES_KEPT = "backup_codes_kept"
    DEVICE_TRUSTED = "device_trusted"
    DEVICE_RECOGNIZED = "device_recognized"
    DEVICE_RENAMED = "device_renamed"
    DEVICE_REVOKED = "device_revoked"
    DEVICE_CONTESTED = "device_contested"
    DEVICE_THEFT = "device_theft"
    MANAGEMENT_REFUSED = "management_refused"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 -- It names an event.
    RESET = "reset"
    REPAIRED = "repaired"
    RESEALED = "resealed"
    ADOPTED = "adopted"
    PRUNED = "pruned"
    KEY_MISSING = "key_missing"
    SEAL_BROKEN = "seal_broken"
    ROWS_ALTERED = "rows_altered"


class Status(StrEnum):
    """The `event_status` of a line. An alarm deserves the attention of a person."""

    SUCCESS = "success"
    REFUSED = "refused"
    ALARM = "alarm"
