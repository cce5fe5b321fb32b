"""A programmer's mistake: it is told in words, and nothing is half done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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

    refuses(lambda it: mfa.trusted_devices.rename(user_id, it, "laptop"), ids, "^device_id is the int of a Device, not")
    refuses(lambda it: mfa.trusted_devices.rename(user_id, device.device_id, it), names, "^name is a text, not")

    sessions: list[Any] = [["hers"], {"id": "hers"}, 5, 1.5, b"hers", True, ""]
    session_operations: list[Callable[[Any], Any]] = [
        lambda it: mfa.totp.begin(user_id, account_name="ada@example.com", verified=verified, session=it),
        lambda it: mfa.totp.pending(user_id, account_name="ada@example.com", session=it),
        lambda it: mfa.totp.confirm(user_id, "123456", session=it),
    ]
    for of_a_session in session_operations:
        refuses(of_a_session, sessions, "^session is a text that only this session has, not ")
    assert everything(sql) == before


def test_a_request_of_another_type_is_named_by_every_operation_that_takes_one(
    mfa: MFA, enrolled: Enrolment, sql: Sql
) -> None:
    user_id, verified = enrolled.user_id, log_in(mfa, enrolled.user_id, enrolled.phone.code())
    operations: dict[Any, tuple[Any, ...]] = {
        mfa.challenge: (user_id,),
        mfa.verify: ("x", "123456"),
        mfa.reverify: (user_id, "123456"),
        mfa.password_changed: (user_id,),
        mfa.totp.confirm: (user_id, "123456"),
        mfa.totp.disable: (verified,),
        mfa.backup_codes.regenerate: (verified,),
        mfa.trusted_devices.trust: (verified,),
        mfa.trusted_devices.rename: (user_id, 1, "laptop"),
        mfa.trusted_devices.revoke: (user_id, 1),
        mfa.trusted_devices.revoke_all: (user_id,),
    }
    before = everything(sql)
    requests: list[Any] = [{}, {"headers": {}}, "GET /", 5, b"", object(), FIREFOX.user_agent]
    for operation, arguments in operations.items():
        refuses(
            lambda it, call=operation, given=arguments: call(*given, request=it),
            requests,
            r"^request is the request of a web framework or a twofold\.Request, not ",
        )
    for by, reason, name in ((None, "lost", "by"), ("ada", 5, "reason"), (b"ada", "lost", "by")):
        wrong: dict[str, Any] = {"by": by, "reason": reason}
        for removal in (mfa.reset, mfa.repair):
            with pytest.raises(TypeError, match=f"^{name} is a text, not "):
                removal(user_id, **wrong)
    assert everything(sql) == before


def test_ages_and_places_of_another_type_are_named(mfa: MFA, enrolled: Enrolment) -> None:
    user_id, verified = enrolled.user_id, log_in(mfa, enrolled.user_id, enrolled.phone.code())
    refuses(lambda it: mfa.proof(verified.token, max_age=it), [300, "PT5M", 5.0, True], "^max_age is a timedelta, not ")
    numbers: list[Any] = ["1", 1.5, True, b"1", [1], float("nan")]
    for name, operations in {
        "limit": (lambda it: mfa.events.recent(user_id, limit=it), lambda it: mfa.events.export(limit=it)),
        "before": (lambda it: mfa.events.recent(user_id, before=it),),
        "after": (lambda it: mfa.events.export(after=it), lambda it: mfa.keys.rotate(after=it)),
    }.items():
        for operation in operations:
            refuses(operation, numbers, f"^{name} is an int, not ")
    refuses(lambda it: mfa.keys.rotate(limit=it), [None, *numbers], "^limit is an int, not ")
    refuses(lambda it: mfa.legacy.adopt(after=it), [None, *numbers], "^after is an int, not ")
    old = datetime(2026, 1, 1, tzinfo=UTC)
    refuses(lambda it: mfa.events.prunable(old, after=it), [1, "x", user_id], "^after is the Place of a Prunable, not ")


def test_a_number_that_no_column_holds_is_a_number(mfa: MFA, enrolled: Enrolment) -> None:
    """On every database alike: past the last row there is nothing, and before the first one everything."""
    user_id, large = enrolled.user_id, 2**70
    assert mfa.events.recent(user_id, before=large, limit=large) == mfa.events.recent(user_id)
    assert mfa.events.recent(user_id, before=-large) == mfa.events.export(after=large) == ()
    assert mfa.events.export(after=-large, limit=-large) == mfa.events.export(limit=1)
    assert mfa.keys.rotate(after=large).last_id is None
    assert mfa.keys.rotate(after=-large, limit=-1).done == 0
    assert mfa.legacy.adopt(after=large).done == 0


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
