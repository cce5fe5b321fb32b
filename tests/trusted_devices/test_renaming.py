"""A device is called what its owner calls it: what a name may be, where it is told, and that it decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.people import FIREFOX, SAFARI, enroll, kinds, log_in
from twofold import Cleared, Tampered
from twofold.naming import BadName, checked

if TYPE_CHECKING:
    from tests.people import Clock, Enrolment, Sql
    from twofold import MFA, DeviceToken


@pytest.fixture
def firefox(mfa: MFA, enrolled: Enrolment) -> DeviceToken:
    """Ada's browser, trusted after a login."""
    return mfa.trusted_devices.trust(log_in(mfa, enrolled.user_id, enrolled.phone.code()), request=FIREFOX)


def names(mfa: MFA, user_id: Any) -> list[str]:
    return [device.name for device in mfa.trusted_devices.list(user_id)]


def test_a_device_has_its_new_name_in_the_list_and_in_the_log(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken
) -> None:
    ada = enrolled.user_id
    assert mfa.trusted_devices.rename(ada, firefox.device_id, "  Zoe\u0308s Laptop\u00a0", request=FIREFOX)
    assert names(mfa, ada) == ["Zo\u00ebs Laptop"]
    (line,) = mfa.events.recent(ada, limit=1)
    assert (line.kind, line.status) == ("device_renamed", "success")
    assert line.details == {"device": "Zo\u00ebs Laptop", "before": "Firefox on Linux"}
    cleared = mfa.challenge(ada, device_token=firefox.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    (line,) = mfa.events.recent(ada, limit=1)
    assert (line.kind, line.details) == ("device_recognized", {"device": "Zo\u00ebs Laptop"})
    assert mfa.events.verify(ada).is_intact


def test_a_name_that_a_device_has_already_leaves_no_line(mfa: MFA, enrolled: Enrolment, firefox: DeviceToken) -> None:
    for _ in range(2):
        assert mfa.trusted_devices.rename(enrolled.user_id, firefox.device_id, "laptop")
    assert kinds(mfa, enrolled.user_id).count("device_renamed") == 1


def test_a_browser_that_is_trusted_again_keeps_its_name(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    ada = enrolled.user_id
    mfa.trusted_devices.rename(ada, firefox.device_id, "laptop")
    clock.forward(minutes=2)
    verified = log_in(mfa, ada, enrolled.phone.code())
    again = mfa.trusted_devices.trust(verified, replaces=firefox.token, request=FIREFOX)
    assert (again.device_id, names(mfa, ada)) == (firefox.device_id, ["laptop"])
    assert mfa.events.recent(ada, limit=1)[0].details["device"] == "laptop"
    # The cookie in another browser is no laptop.
    mfa.trusted_devices.trust(verified, replaces=again.token, request=SAFARI)
    assert "laptop" not in names(mfa, ada)


def test_only_devices_of_the_user_that_are_not_revoked_are_renamed(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, sql: Sql, clock: Clock
) -> None:
    sql("INSERT INTO users (id, subject, created_at) VALUES (2, 'grace@example.com', '2026-01-01 00:00:00')")
    sql("INSERT INTO users (id, subject, created_at) VALUES (3, 'joan@example.com', '2026-01-01 00:00:00')")
    grace = enroll(mfa, 2, clock)
    for user_id in (grace.user_id, 3):
        assert not mfa.trusted_devices.rename(user_id, firefox.device_id, "mine")
    for number in (0, -1, 2**70):
        assert not mfa.trusted_devices.rename(enrolled.user_id, number, "mine")
    mfa.trusted_devices.revoke(enrolled.user_id, firefox.device_id)
    assert not mfa.trusted_devices.rename(enrolled.user_id, firefox.device_id, "mine")
    assert names(mfa, enrolled.user_id) == ["Firefox on Linux"]
    assert "device_renamed" not in kinds(mfa, enrolled.user_id) + kinds(mfa, grace.user_id)


@pytest.mark.attack("A21")
def test_a_rename_over_altered_devices_seals_nothing_of_them(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, sql: Sql
) -> None:
    ada = enrolled.user_id
    ((before,),) = sql("SELECT devices_digest FROM user_mfa_secrets WHERE user_id = :user", user=ada)
    sql("UPDATE mfa_device_trusts SET trusted_until = '2099-01-01 00:00:00'")
    for _ in range(2):
        with pytest.raises(Tampered, match="revoke_all"):
            mfa.trusted_devices.rename(ada, firefox.device_id, "mine")
    assert kinds(mfa, ada)[-1] == "rows_altered"
    assert kinds(mfa, ada).count("rows_altered") == 1
    assert sql("SELECT device_name FROM mfa_device_trusts") == [("Firefox on Linux",)]
    ((after,),) = sql("SELECT devices_digest FROM user_mfa_secrets WHERE user_id = :user", user=ada)
    assert after.startswith(before)
    assert mfa.challenge(ada, device_token=firefox.token, request=FIREFOX)


@pytest.mark.attack("A21")
def test_the_row_of_before_the_rename_brings_back_the_old_name_and_no_old_token(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, sql: Sql, clock: Clock
) -> None:
    ada = enrolled.user_id
    ((token, name),) = sql("SELECT trust_token, device_name FROM mfa_device_trusts")
    mfa.trusted_devices.rename(ada, firefox.device_id, "laptop")
    clock.forward(minutes=2)
    cleared = mfa.challenge(ada, device_token=firefox.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    sql("UPDATE mfa_device_trusts SET device_name = :name", name=name)
    assert names(mfa, ada) == ["Firefox on Linux"]
    assert mfa.trusted_devices.rename(ada, firefox.device_id, "laptop")
    sql("UPDATE mfa_device_trusts SET trust_token = :token, device_name = :name", token=token, name=name)
    assert mfa.challenge(ada, device_token=firefox.token, request=FIREFOX)
    assert kinds(mfa, ada)[-2:] == ["rows_altered", "challenged"]


NO_NAMES = [
    ("", "empty"),
    ("  \u3000\u00a0 ", "empty"),
    ("x" * 65, "too long"),
    ("x" * 100_000, "too long"),
    ("lap\ntop", "unseen"),
    ("lap\x00top", "unseen"),
    ("lap\x1b[31mtop", "unseen"),
    ("lap\u202etop", "unseen"),
    ("\u2066laptop\u2069", "unseen"),
    ("lap\u200ftop", "unseen"),
    ("lap\u2028top", "unseen"),
    ("lap\ufefftop", "unseen"),
    ("lap\ud800top", "unseen"),
    ("\u200d", "unseen"),
    ("\u3164", "unseen"),
    ("\u2800 \u2800", "unseen"),
    ("\u0301", "unseen"),
]


def test_what_is_no_name_is_refused_before_anything_is_read(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken
) -> None:
    for given, why in NO_NAMES:
        with pytest.raises(ValueError, match=f"1 to 64 characters.*; this one is {why}") as refused:
            mfa.trusted_devices.rename(enrolled.user_id, firefox.device_id, given)
        assert isinstance(refused.value, BadName)
        assert len(given) < 3 or given not in str(refused.value)
        assert names(mfa, enrolled.user_id) == ["Firefox on Linux"]


NAMES = [
    "x",
    "x" * 64,
    "\U0001f4f1" * 64,
    "Ada’s Telefon (grün)",
    "اللپ‌تاپ",
    "\U0001f468\u200d\U0001f469",
    "<b>'; --",
    "仕事用",
]


def test_names_of_any_script_are_kept_as_they_are(mfa: MFA, enrolled: Enrolment, firefox: DeviceToken) -> None:
    for name in NAMES:
        assert mfa.trusted_devices.rename(enrolled.user_id, firefox.device_id, name)
        assert names(mfa, enrolled.user_id) == [checked(name)] == [name]


@pytest.mark.parametrize("given", ["ae\u0301" * 32, "  " + "e\u0301" * 64 + "  "])
def test_a_name_is_measured_as_it_is_read(given: str) -> None:
    assert len(checked(given)) == 64
