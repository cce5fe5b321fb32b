"""What each line says, word by word: whoever reads the log, by eye or by program, relies on these words."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.test_cryptography import rewrite
from tests.people import FIREFOX, SAFARI, Clock, Enrolment, Open, Phone, Sql, challenged
from twofold import MFA, Event, MFAError, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database

DEVICE = "Firefox on Linux"


@pytest.fixture
def face() -> str:
    """What a line says is decided in what both faces share."""
    return "blocking"


class Reader:
    """Reads what an operation left in the log of one user, and looks where it says that it came from."""

    def __init__(self, mfa: MFA, user_id: int, clock: Clock) -> None:
        self.mfa, self.user_id, self.clock = mfa, user_id, clock

    def _events(self) -> tuple[Event, ...]:
        return self.mfa.events.recent(self.user_id, limit=1000)[::-1]

    def said(self, call: Callable[[], Any], *expected: tuple[str, dict[str, Any]]) -> Any:
        """Call, refused or not; what it left must be these kinds and details. Returns what the call returned."""
        answer, before = None, len(self._events())
        try:
            answer = call()
        except MFAError as error:
            answer = error
        left = self._events()[before:]
        assert [(event.kind, dict(event.details)) for event in left] == list(expected)
        for event in left:
            assert (event.user_id, event.at, event.ip_address) == (self.user_id, self.clock.now, FIREFOX.ip_address)
            assert (event.device_fingerprint is not None) == ("device" in event.details)
        return answer

    def latest(self) -> Event:
        return self._events()[-1]


def refused(occasion: str, reason: str, failures: int, factor: str | None = "totp") -> tuple[str, dict[str, Any]]:
    named = {"factor": factor} if factor else {}
    return "code_refused", {"occasion": occasion, "reason": reason, "failures": failures, **named}


@pytest.mark.requirement("R98")
def test_the_lines_of_an_enrolment_and_of_logins(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(suspend_after=7)
    reader = Reader(mfa, ada, clock)
    said = reader.said

    def begin(**options: Any) -> Any:
        return mfa.totp.begin(ada, account_name="ada@example.com", request=FIREFOX, **options)

    phone = Phone(said(begin, ("totp_begun", {})).secret, clock)
    said(lambda: mfa.challenge(ada, request=FIREFOX), ("cleared", {"because": "not_enrolled"}))
    for tries in range(1, 10):
        tried = ("code_refused", {"occasion": "enrollment", "reason": "wrong_code", "tries": tries})
        said(lambda: mfa.totp.confirm(ada, phone.wrong_code(), request=FIREFOX), tried)
        assert reader.latest().status == "refused"
    clock.forward(seconds=30)
    enrolled = mfa.totp.confirm(ada, phone.code(), request=FIREFOX)
    assert reader.latest().details == {"backup_codes": 10, "replaced": False}

    clock.forward(seconds=60)
    token = said(lambda: mfa.challenge(ada, request=FIREFOX), ("challenged", {})).token
    wrong, code = phone.wrong_code(), enrolled.backup_codes[3]
    said(lambda: mfa.verify(token, wrong, request=FIREFOX), refused("login", "wrong_code", 1))
    made_up = "23456-23456-23456-23456-23456"
    # A code of 125 bits is no guess, and what has the form of no code is a mistake of typing.
    missed = refused("step_up", "wrong_code", 1, "backup_codes")
    said(lambda: mfa.reverify(ada, made_up, request=FIREFOX), missed)
    said(lambda: mfa.reverify(ada, "12345", request=FIREFOX))
    said(lambda: mfa.verify(token, "a word", request=FIREFOX))
    accepted = {"factor": "backup_codes", "occasion": "login"}
    said(lambda: mfa.verify(token, code, request=FIREFOX), ("code_accepted", accepted))
    spent = refused("step_up", "code_already_used", 1, "backup_codes")
    said(lambda: mfa.reverify(ada, code, request=FIREFOX), spent)
    ended = refused("login", "challenge_expired", 1)
    said(lambda: mfa.verify(token, phone.code(), request=FIREFOX), ended)
    said(lambda: mfa.verify(token, phone.code(), request=FIREFOX))
    for failures in (2, 3, 4, 5):
        said(lambda: mfa.reverify(ada, wrong, request=FIREFOX), refused("step_up", "wrong_code", failures))
    # One line tells of a wait, of an end, of a challenge that ended, however often it is met.
    said(lambda: mfa.reverify(ada, phone.code(), request=FIREFOX), refused("step_up", "waiting", 5))
    said(lambda: mfa.reverify(ada, phone.code(), request=FIREFOX))
    said(lambda: mfa.verify(token, phone.code(), request=FIREFOX), refused("login", "challenge_expired", 5))
    for failures in (6, 7):
        clock.forward(hours=1)
        said(lambda: mfa.reverify(ada, phone.wrong_code(), request=FIREFOX), refused("step_up", "wrong_code", failures))
    assert reader.latest().status == "alarm"
    said(lambda: mfa.reverify(ada, phone.code(), request=FIREFOX), refused("step_up", "suspended", 7))
    assert reader.latest().status == "refused"
    said(lambda: mfa.reverify(ada, phone.code(), request=FIREFOX))

    verified = mfa.reverify(ada, enrolled.backup_codes[4], request=FIREFOX)
    phone = Phone(said(lambda: begin(verified=verified), ("totp_begun", {"replaces": True})).secret, clock)
    clock.forward(minutes=2)
    mfa.totp.confirm(ada, phone.code(), request=FIREFOX)
    assert reader.latest().details["replaced"] is True
    assert (reader.latest().kind, reader.latest().user_agent) == ("totp_confirmed", FIREFOX.user_agent)
    clock.forward(seconds=60)
    accepted = {"factor": "totp", "occasion": "step_up"}
    verified = said(lambda: mfa.reverify(ada, phone.code(), request=FIREFOX), ("code_accepted", accepted))
    mfa.backup_codes.regenerate(verified, request=FIREFOX)
    assert (reader.latest().kind, reader.latest().ip_address) == ("backup_codes_regenerated", FIREFOX.ip_address)
    assert reader.latest().details == {"backup_codes": 10}
    token = challenged(mfa, ada, request=FIREFOX)
    said(lambda: mfa.totp.disable(verified, request=FIREFOX), ("totp_disabled", {}))
    said(lambda: mfa.verify(token, phone.code(), request=FIREFOX), refused("login", "not_enrolled", 0))
    said(lambda: mfa.verify(token, phone.code(), request=FIREFOX))


@pytest.mark.requirement("R98")
def test_the_lines_of_devices(open_mfa: Open, enrolled: Enrolment, clock: Clock, sql: Sql) -> None:
    mfa, user_id = open_mfa(device_limit=2), enrolled.user_id
    reader = Reader(mfa, user_id, clock)
    said = reader.said
    verified = mfa.reverify(user_id, enrolled.phone.code())

    def trust(name: str | None = None) -> Any:
        return mfa.trusted_devices.trust(verified, name=name, request=FIREFOX)

    until = (clock.now + timedelta(days=30)).isoformat(timespec="seconds")
    trusted = ("device_trusted", {"device": DEVICE, "trusted_until": until})
    first = said(trust, trusted)
    line = reader.latest().device_fingerprint

    def come_back() -> Any:
        return mfa.challenge(user_id, device_token=first.token, request=FIREFOX)

    newest = said(come_back, ("device_recognized", {"device": DEVICE})).device
    assert reader.latest().device_fingerprint == line
    said(come_back, ("device_recognized", {"device": DEVICE}))
    clock.forward(seconds=61)
    doubt = {"device": DEVICE, "reason": "an old token of this device came"}
    said(
        come_back,
        ("device_contested", doubt),
        ("challenged", {"untrusted": "an old token"} | {"device": "Firefox on Linux"}),
    )
    told = mfa.events.recent(user_id, limit=2)[1]
    assert (told.status, told.device_fingerprint) == ("refused", line)
    said(come_back, ("challenged", {"untrusted": "an old token"} | {"device": "Firefox on Linux"}))
    theft = {"device": DEVICE, "reason": "two browsers have a token of this device"}
    said(
        lambda: mfa.challenge(user_id, device_token=newest.token, request=FIREFOX),
        ("device_theft", theft),
        ("challenged", {"untrusted": "two have its token"} | {"device": "Firefox on Linux"}),
    )
    told = mfa.events.recent(user_id, limit=2)[1]
    assert (told.status, told.device_fingerprint) == ("alarm", line)

    verified = mfa.reverify(user_id, enrolled.phone.code())
    until = (clock.now + timedelta(days=30)).isoformat(timespec="seconds")
    mine = ("device_trusted", {"device": "mine", "trusted_until": until})
    other = said(lambda: trust("mine"), mine)
    said(
        lambda: mfa.trusted_devices.rename(user_id, other.device_id, " hers ", request=FIREFOX),
        ("device_renamed", {"device": "hers", "before": "mine"}),
    )
    said(lambda: mfa.trusted_devices.rename(user_id, other.device_id, "hers", request=FIREFOX))
    own = {"device": "hers", "reason": "revoked by its owner"}
    said(
        lambda: mfa.trusted_devices.revoke(user_id, other.device_id, request=FIREFOX),
        ("device_revoked", own),
    )
    other = said(lambda: trust("mine"), mine)
    ((held,),) = sql("SELECT trust_token FROM mfa_device_trusts WHERE revoked_at IS NULL")
    mfa.trusted_devices.revoke_all(user_id, request=FIREFOX)
    sql(
        "UPDATE mfa_device_trusts SET revoked_at = NULL, trust_token = :held WHERE id = :id",
        held=held,
        id=other.device_id,
    )

    def bring_back() -> Any:
        return mfa.challenge(user_id, device_token=other.token, request=FIREFOX)

    said(
        bring_back,
        ("rows_altered", {"table": "mfa_device_trusts"}),
        ("challenged", {"untrusted": "the devices were altered"}),
    )
    assert mfa.events.recent(user_id, limit=2)[1].status == "alarm"
    said(bring_back, ("challenged", {"untrusted": "the devices were altered"}))
    changed = {"devices": 0, "reason": "they were changed outside Twofold"}
    said(lambda: trust("mine"), ("device_revoked", changed), mine)
    said(lambda: trust("mine"), mine)
    limit = {"device": "mine", "reason": "more devices than the limit"}
    said(lambda: trust("mine"), ("device_revoked", limit), mine)
    every = {"devices": 2, "reason": "revoked by their owner"}
    said(lambda: mfa.trusted_devices.revoke_all(user_id, request=FIREFOX), ("device_revoked", every))
    said(lambda: mfa.trusted_devices.revoke_all(user_id, request=FIREFOX))
    said(lambda: trust("mine"), mine)
    said(lambda: mfa.password_changed(user_id, request=FIREFOX), ("password_changed", {"devices": 1}))


@pytest.mark.requirement("R98")
def test_the_lines_of_altered_rows(mfa: MFA, enrolled: Enrolment, clock: Clock, sql: Sql) -> None:
    user_id, code = enrolled.user_id, enrolled.backup_codes[0]
    reader = Reader(mfa, user_id, clock)
    said = reader.said
    verified = mfa.reverify(user_id, enrolled.phone.code())
    codes, devices = (("rows_altered", {"table": name}) for name in ("mfa_backup_codes", "mfa_device_trusts"))

    def alter() -> None:
        sql("UPDATE mfa_backup_codes SET id = id + 1000")
        sql("UPDATE mfa_device_trusts SET id = id + 1000")

    mfa.trusted_devices.trust(verified, request=FIREFOX)
    alter()
    altered = refused("step_up", "altered", 0, "backup_codes")
    said(lambda: mfa.reverify(user_id, code, request=FIREFOX), codes, altered)
    said(lambda: mfa.reverify(user_id, code, request=FIREFOX))
    said(lambda: mfa.trusted_devices.revoke(user_id, 1, request=FIREFOX), devices)
    said(lambda: mfa.trusted_devices.revoke(user_id, 1, request=FIREFOX))
    # What was told is not told again by what ends it.
    said(
        lambda: mfa.backup_codes.regenerate(verified, request=FIREFOX),
        ("backup_codes_regenerated", {"backup_codes": 10}),
    )
    said(
        lambda: mfa.trusted_devices.revoke_all(user_id, request=FIREFOX),
        ("device_revoked", {"devices": 0, "reason": "revoked by their owner"}),
    )
    mfa.trusted_devices.trust(verified)
    alter()
    said(
        lambda: mfa.backup_codes.regenerate(verified, request=FIREFOX),
        codes,
        ("backup_codes_regenerated", {"backup_codes": 10}),
    )
    said(lambda: mfa.password_changed(user_id, request=FIREFOX), devices, ("password_changed", {"devices": 0}))


@pytest.mark.requirement("R98")
def test_the_lines_of_broken_seals_and_of_an_operator(
    mfa: MFA, enrolled: Enrolment, clock: Clock, migrated: Database, sql: Sql
) -> None:
    user_id, said = enrolled.user_id, Reader(mfa, enrolled.user_id, clock).said
    sealed = sql("SELECT secret FROM user_mfa_secrets")[0][0]
    for broken, kind in ((sealed[:-4] + "AAAA", "seal_broken"), ("v1:k9:00000000:AAAA", "key_missing")):
        rewrite(mfa, migrated.engine(), user_id, secret=broken)
        said(lambda: mfa.reverify(user_id, enrolled.phone.code(), request=FIREFOX), (kind, {}))
        assert mfa.events.recent(user_id, limit=1)[0].status == "alarm"
    by: dict[str, Any] = {"by": "grace@example.com", "reason": "lost phone"}
    said(lambda: mfa.reset(user_id, **by, request=FIREFOX), ("reset", by))
    said(lambda: mfa.repair(user_id, **by, request=FIREFOX), ("repaired", by))


@pytest.mark.requirement("R100")
def test_what_people_write_is_kept_up_to_255_characters(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    long, kept = "x" * 256, "x" * 254 + "…"
    user_id, verified = enrolled.user_id, mfa.reverify(enrolled.user_id, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, name=long)
    mfa.trusted_devices.revoke(user_id, device.device_id, reason=long)
    mfa.trusted_devices.trust(verified, name=long[1:])
    mfa.trusted_devices.revoke_all(user_id, reason=long)
    assert {device.revoked_reason for device in mfa.trusted_devices.list(user_id)} == {kept}
    assert [device.name for device in mfa.trusted_devices.list(user_id)] == [long[1:], kept]
    mfa.reset(user_id, by=long, reason=long)
    details = [event.details for event in mfa.events.recent(user_id, limit=5)]
    assert [written.get("device") for written in details] == [None, None, long[1:], kept, kept]
    assert [written.get("reason") for written in details] == [kept, kept, None, kept, None]
    assert details[0]["by"] == kept


@pytest.mark.requirement("R79")
def test_an_owner_reads_all_of_a_device(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    made = clock.now
    request = Request(FIREFOX.ip_address, FIREFOX.user_agent, "Oslo")
    verified = mfa.reverify(enrolled.user_id, enrolled.phone.code())
    given = mfa.trusted_devices.trust(verified, name="mine", request=request)
    (device,) = mfa.trusted_devices.list(enrolled.user_id)
    assert device == type(device)(
        id=given.device_id,
        name="mine",
        browser="Firefox",
        platform="Linux",
        ip_address="192.0.2.1",
        location="Oslo",
        usage_count=0,
        created_at=made,
        last_used_at=made,
        trusted_until=made + timedelta(days=30),
        revoked_at=None,
        revoked_reason=None,
        is_active=True,
    )
    clock.forward(days=1)
    moved = Request("192.0.2.7", FIREFOX.user_agent)
    assert not mfa.challenge(enrolled.user_id, device_token=given.token, request=moved)
    (device,) = mfa.trusted_devices.list(enrolled.user_id)
    assert (device.ip_address, device.location, device.usage_count) == ("192.0.2.7", "Oslo", 1)
    assert (device.created_at, device.last_used_at) == (made, clock.now)
    mfa.password_changed(enrolled.user_id)
    (device,) = mfa.trusted_devices.list(enrolled.user_id)
    assert (device.revoked_at, device.revoked_reason, device.is_active) == (
        clock.now,
        "the password was changed",
        False,
    )


@pytest.mark.requirement("R78")
def test_a_revoked_device_says_why(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    user_id = enrolled.user_id

    def why() -> str | None:
        return mfa.trusted_devices.list(user_id)[0].revoked_reason

    verified = mfa.reverify(user_id, enrolled.phone.code())
    mfa.trusted_devices.trust(verified, request=SAFARI)
    mfa.trusted_devices.revoke_all(user_id, reason="a new phone")
    assert why() == "a new phone"
    mfa.trusted_devices.trust(verified)
    mfa.totp.disable(verified)
    assert why() == "the second factor was turned off"
    phone = Phone(mfa.totp.begin(user_id, account_name="ada@example.com").secret, clock)
    clock.forward(seconds=30)
    verified = mfa.totp.confirm(user_id, phone.code()).verified
    mfa.trusted_devices.trust(verified)
    phone = Phone(mfa.totp.begin(user_id, account_name="ada@example.com", verified=verified).secret, clock)
    clock.forward(seconds=30)
    verified = mfa.totp.confirm(user_id, phone.code()).verified
    assert why() == "the authenticator app was set up"
    mfa.trusted_devices.trust(verified)
    mfa.reset(user_id, by="grace@example.com", reason="lost phone")
    assert why() == "the second factor was reset"
    assert [device.revoked_reason for device in mfa.trusted_devices.list(user_id)] == [
        "the second factor was reset",
        "the authenticator app was set up",
        "the second factor was turned off",
        "a new phone",
    ]
