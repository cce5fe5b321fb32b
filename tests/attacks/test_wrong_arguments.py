"""A programmer's mistake: it is told in words, and nothing is half done."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tests.people import FIREFOX, Enrolment, Sql, log_in, plain_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from twofold import MFA

TABLES = ("user_mfa_secrets", "mfa_backup_codes", "mfa_device_trusts", "mfa_events")


def everything(sql: Sql) -> list[Any]:
    return [sql(f"SELECT * FROM {table} ORDER BY id") for table in TABLES]


def refuses(operation: Callable[..., Any], values: list[Any], words: str) -> None:
    for value in values:
        with pytest.raises(TypeError, match=words):
            operation(value)


def test_an_argument_of_another_type_is_named_and_changes_nothing(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    user_id, verified = enrolled.user_id, log_in(mfa, enrolled.user_id, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    mfa.totp.begin(user_id, account_name="ada@example.com", verified=verified)
    before = everything(sql)

    names: list[Any] = [None, 5, b"ada@example.com", ["ada@example.com"]]
    refuses(lambda it: mfa.totp.begin(user_id, account_name=it, verified=verified), names, "^account_name is text, not")
    refuses(lambda it: mfa.totp.pending(user_id, account_name=it), names, "^account_name is text, not")

    proofs: list[Any] = [None, True, verified.token, {"token": verified.token}]
    for operation in (mfa.totp.disable, mfa.backup_codes.regenerate, mfa.trusted_devices.trust):
        refuses(operation, proofs, "^verified is what verify, reverify, confirm or proof returned, not")
    refuses(
        lambda it: mfa.totp.begin(user_id, account_name="ada@example.com", verified=it), proofs[1:], "^verified is what"
    )

    ids: list[Any] = [None, True, float(device.device_id), str(device.device_id), b"1"]
    refuses(lambda it: mfa.trusted_devices.revoke(user_id, it), ids, "^device_id is the int of a Device, not")

    sessions: list[Any] = [["hers"], {"id": "hers"}]
    refuses(
        lambda it: mfa.totp.begin(user_id, account_name="ada@example.com", verified=verified, session=it),
        sessions,
        "has no canonical form",
    )
    assert everything(sql) == before


def test_a_first_set_up_under_a_wrong_name_leaves_no_row(mfa: MFA, ada: int, sql: Sql) -> None:
    name: Any = None
    with pytest.raises(TypeError):
        mfa.totp.begin(ada, account_name=name)
    assert everything(sql) == [[], [], [], []]


@pytest.mark.requirement("R92")
def test_waits_that_grow_shorter_do_not_start() -> None:
    minute = timedelta(minutes=1)
    with pytest.raises(ValidationError, match="no wait may be shorter than the first"):
        plain_settings(first_wait=minute, longest_wait=minute - timedelta(seconds=1))
    assert plain_settings(first_wait=minute, longest_wait=minute).longest_wait == minute
