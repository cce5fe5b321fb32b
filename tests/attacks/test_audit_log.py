"""Whoever hopes that something leaves no line, a wrong line, or a line that can be lost."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.test_cryptography import rewrite
from tests.databases import add_passkeys
from tests.people import FIREFOX, Clock, Enrolment, Open, Phone, Sql, challenged, enroll, kinds, log_in
from tests.upkeep.test_legacy import leave
from twofold import MFA, Event, MFAError, Rejected, Request, Verified
from twofold.keyring import generate_key
from twofold.kinds import Kind, Status
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database


@pytest.fixture
def face() -> str:
    """These attacks aim at what both faces share."""
    return "blocking"


class Ledger:
    """Runs operations on one user, and says which lines each of them left."""

    def __init__(self, mfa: MFA, user_id: int) -> None:
        self.mfa, self.user_id = mfa, user_id
        self.seen: set[str] = set()

    def leaves(self, call: Callable[[], Any], *lines: tuple[Kind, Status]) -> Any:
        answer, before = None, len(kinds(self.mfa, self.user_id))
        try:
            answer = call()
        except MFAError:
            assert all(status is not Status.SUCCESS for _, status in lines)
        left = self.mfa.events.recent(self.user_id, limit=1000)[::-1][before:]
        assert [(event.kind, event.status) for event in left] == [*lines]
        self.seen |= {event.kind for event in left}
        return answer


DONE, REFUSED, ALARM = Status.SUCCESS, Status.REFUSED, Status.ALARM


@pytest.mark.requirement("R97")
def test_every_outcome_of_every_operation_leaves_exactly_its_line(
    open_mfa: Open, migrated: Database, ada: int, grace: int, clock: Clock, keys: str, sql: Sql
) -> None:
    add_passkeys(migrated)
    new, origin = generate_key("k2"), "https://example.com"
    mfa = open_mfa(keys=f"{keys},{new}", public_url=origin)
    ledger = Ledger(mfa, ada)
    leaves = ledger.leaves

    begun = leaves(lambda: mfa.totp.begin(ada, account_name="ada@example.com"), (Kind.TOTP_BEGUN, DONE))
    phone = Phone(begun.secret, clock)
    leaves(lambda: mfa.challenge(ada), (Kind.CLEARED, DONE))
    leaves(lambda: mfa.totp.confirm(ada, phone.wrong_code()), (Kind.CODE_REFUSED, REFUSED))
    codes = leaves(lambda: mfa.totp.confirm(ada, phone.code()), (Kind.TOTP_CONFIRMED, DONE)).backup_codes

    clock.forward(seconds=60)
    token = leaves(lambda: mfa.challenge(ada), (Kind.CHALLENGED, DONE)).token
    leaves(lambda: mfa.verify(token, phone.wrong_code()), (Kind.CODE_REFUSED, REFUSED))
    verified: Verified = leaves(lambda: mfa.verify(token, phone.code()), (Kind.CODE_ACCEPTED, DONE))
    leaves(lambda: mfa.repeat(token, phone.code()), (Kind.ANSWER_REPEATED, DONE))
    leaves(lambda: mfa.verify(token, phone.code(steps=1)), (Kind.CODE_REFUSED, REFUSED))
    leaves(lambda: mfa.reverify(ada, phone.code()), (Kind.CODE_REFUSED, REFUSED))
    leaves(lambda: mfa.reverify(ada, codes[0]), (Kind.CODE_ACCEPTED, DONE))

    def come_back(token: str) -> Any:
        return mfa.challenge(ada, device_token=token, request=FIREFOX)

    device = leaves(lambda: mfa.trusted_devices.trust(verified, request=FIREFOX), (Kind.DEVICE_TRUSTED, DONE))
    current = leaves(lambda: come_back(device.token), (Kind.DEVICE_RECOGNIZED, DONE)).device.token
    clock.forward(seconds=61)
    leaves(lambda: come_back(device.token), (Kind.DEVICE_CONTESTED, REFUSED), (Kind.CHALLENGED, DONE))
    leaves(lambda: come_back(device.token), (Kind.CHALLENGED, DONE))
    leaves(lambda: come_back(current), (Kind.DEVICE_THEFT, ALARM), (Kind.CHALLENGED, DONE))
    device = leaves(lambda: mfa.trusted_devices.trust(verified), (Kind.DEVICE_TRUSTED, DONE))
    leaves(lambda: mfa.trusted_devices.rename(ada, device.device_id, "The laptop"), (Kind.DEVICE_RENAMED, DONE))
    leaves(lambda: mfa.trusted_devices.revoke(ada, device.device_id), (Kind.DEVICE_REVOKED, DONE))
    leaves(lambda: mfa.trusted_devices.revoke(ada, device.device_id))
    session = "the session of ada's laptop"
    again = (Kind.BACKUP_CODES_REGENERATED, DONE)
    leaves(lambda: mfa.backup_codes.regenerate(verified, session=session), again)
    leaves(lambda: mfa.backup_codes.shown(ada, session=session))
    leaves(lambda: mfa.backup_codes.keep(ada, session=session), (Kind.BACKUP_CODES_KEPT, DONE))
    leaves(lambda: mfa.backup_codes.keep(ada, session=session))
    leaves(open_mfa(keys=f"{new},{keys}").keys.rotate, (Kind.RESEALED, DONE))

    sealed = sql("SELECT secret FROM user_mfa_secrets")[0][0]
    for broken, kind in ((sealed[:-4] + "AAAA", Kind.SEAL_BROKEN), ("v1:k9:00000000:AAAA", Kind.KEY_MISSING)):
        rewrite(mfa, migrated.engine(), ada, secret=broken)
        leaves(lambda: mfa.reverify(ada, phone.code()), (kind, ALARM))
        rewrite(mfa, migrated.engine(), ada, secret=sealed)

    clock.forward(days=1)
    leaves(lambda: mfa.reverify(ada, phone.wrong_code()), (Kind.CODE_REFUSED, REFUSED))
    clock.forward(days=-1)
    leaves(lambda: mfa.reverify(ada, phone.wrong_code()), (Kind.CLOCK_SET_RIGHT, ALARM), (Kind.CODE_REFUSED, REFUSED))
    leaves(lambda: mfa.reverify(ada, phone.wrong_code()), (Kind.CODE_REFUSED, REFUSED))

    altered = (Kind.ROWS_ALTERED, ALARM)
    device = leaves(lambda: mfa.trusted_devices.trust(verified), (Kind.DEVICE_TRUSTED, DONE))
    sql("UPDATE mfa_device_trusts SET trusted_until = '2099-01-01 00:00:00' WHERE revoked_at IS NULL")
    leaves(lambda: come_back(device.token), altered, (Kind.CHALLENGED, DONE))
    leaves(lambda: come_back(device.token), (Kind.CHALLENGED, DONE))
    leaves(lambda: mfa.trusted_devices.revoke(ada, device.device_id))
    sql("DELETE FROM mfa_backup_codes")
    leaves(lambda: mfa.reverify(ada, codes[1]), altered, (Kind.CODE_REFUSED, REFUSED))
    # It was not looked at, and that is told once.
    leaves(lambda: mfa.reverify(ada, codes[1]))

    leaves(lambda: mfa.totp.disable(verified), (Kind.TOTP_DISABLED, DONE))
    leaves(lambda: mfa.totp.disable(verified), (Kind.MANAGEMENT_REFUSED, REFUSED))
    enroll(mfa, ada, clock)
    leaves(lambda: mfa.password_changed(ada), (Kind.PASSWORD_CHANGED, DONE))
    leaves(lambda: mfa.reset(ada, by="grace", reason="lost phone"), (Kind.RESET, DONE))
    enroll(mfa, ada, clock)
    sql("UPDATE user_mfa_secrets SET failed_attempts = 9")
    leaves(lambda: mfa.repair(ada, by="grace", reason="nightly check"), (Kind.REPAIRED, DONE))

    def register(passkey: VirtualPasskey, verified: Verified | None = None) -> Any:
        begin = mfa.passkeys.begin
        begun = leaves(
            lambda: begin(ada, account_name="ada@example.com", verified=verified), (Kind.PASSKEY_BEGUN, DONE)
        )
        credential = passkey.register(begun)
        return leaves(lambda: mfa.passkeys.confirm(ada, credential), (Kind.PASSKEY_REGISTERED, DONE))

    mine, stolen = VirtualPasskey(origin), VirtualPasskey(origin)
    verified = register(mine).verified
    second = register(stolen, verified).passkey
    leaves(lambda: mfa.passkeys.rename(ada, second.id, "A key"), (Kind.PASSKEY_RENAMED, DONE))
    copied = stolen.copied()
    leaves(lambda: mfa.reverify(ada, stolen.sign(mfa.passkeys.ask(ada))), (Kind.CODE_ACCEPTED, DONE))
    cloned = ((Kind.PASSKEY_CLONED, ALARM), (Kind.CODE_REFUSED, REFUSED))
    leaves(lambda: mfa.reverify(ada, copied.sign(mfa.passkeys.ask(ada))), *cloned)
    # What was proven before may be of whoever has the copy.
    leaves(lambda: mfa.passkeys.revoke(verified, second.id), (Kind.MANAGEMENT_REFUSED, REFUSED))
    verified = leaves(lambda: mfa.reverify(ada, mine.sign(mfa.passkeys.ask(ada))), (Kind.CODE_ACCEPTED, DONE))
    leaves(lambda: mfa.passkeys.revoke(verified, second.id), (Kind.PASSKEY_REVOKED, DONE))
    leaves(lambda: mfa.disable(verified), (Kind.DISABLED, DONE))
    assert mfa.events.verify(ada).is_intact

    leave(sql, grace, clock)
    other = Ledger(mfa, grace)
    other.leaves(mfa.legacy.adopt, (Kind.ADOPTED, DONE))
    # Pruning takes lines away (test_retention.py), and one kind is named for what is to come.
    assert ledger.seen | other.seen == set(Kind) - {Kind.PRUNED}


@pytest.mark.requirement("R57", "R98")
def test_a_line_says_when_who_what_where_with_what_and_why(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    with pytest.raises(Rejected):
        mfa.verify(challenged(mfa, enrolled.user_id), enrolled.phone.wrong_code(), request=FIREFOX)
    mfa.reset(enrolled.user_id, by="grace@example.com", reason="lost phone", request=FIREFOX)
    mfa.repair(enrolled.user_id, by="grace@example.com", reason="nightly check", request=FIREFOX)
    repaired, by_operator, refused = mfa.events.recent(enrolled.user_id, limit=3)
    for event in (refused, by_operator, repaired):
        assert event.user_id == enrolled.user_id
        assert event.at == clock.now
        assert event.at.utcoffset() == timedelta(0)
        assert (event.ip_address, event.user_agent) == (FIREFOX.ip_address, FIREFOX.user_agent)
    assert (refused.kind, refused.status) == ("code_refused", "refused")
    assert refused.details == {"factor": "totp", "occasion": "login", "reason": "wrong_code", "failures": 1}
    assert by_operator.details == {"by": "grace@example.com", "reason": "lost phone"}
    assert repaired.details == {"by": "grace@example.com", "reason": "nightly check"}


HOSTILE = "lost\r\n\x1b[2Jphone\u202e\u2066\0\ud800, \"}{' " + "x" * 100_000


@pytest.mark.requirement("R100")
def test_no_text_from_outside_breaks_out_of_its_line(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    hostile = Request("192.0.2.1, 203.0.113.9", HOSTILE)
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, name=HOSTILE, request=hostile)
    mfa.trusted_devices.revoke(enrolled.user_id, device.device_id, reason=HOSTILE, request=hostile)
    mfa.reset(enrolled.user_id, by=HOSTILE, reason=HOSTILE, request=hostile)
    for line in sql("SELECT event_details, user_agent, ip_address FROM mfa_events ORDER BY seq DESC LIMIT 3"):
        assert line.ip_address is None
        told = [text for text in json.loads(line.event_details).values() if len(text) > 200]
        assert told
        for text in (line.user_agent, *told):
            assert text.isprintable()
            assert text.startswith("lost [2Jphone")
            assert text.endswith("…")
            assert len(text) <= 512
    assert mfa.events.verify(enrolled.user_id).is_intact


@pytest.mark.requirement("R106")
def test_neither_age_nor_any_change_removes_a_line(open_mfa: Open, ada: int, clock: Clock, keys: str) -> None:
    mfa = open_mfa(keys=f"{generate_key('k2')},{keys}")
    enrolment = enroll(open_mfa(), ada, clock)
    first = mfa.events.export()
    mfa.totp.disable(log_in(mfa, ada, enrolment.phone.code()))
    clock.forward(days=400)
    enroll(mfa, ada, clock)
    mfa.reset(ada, by="grace", reason="lost phone")
    mfa.repair(ada, by="grace", reason="nightly check")
    mfa.keys.rotate()
    assert mfa.events.export()[: len(first)] == first
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R107")
def test_without_a_request_nothing_of_its_sender_is_kept(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    mfa.trusted_devices.trust(verified)
    lines = sql("SELECT ip_address, user_agent FROM mfa_events")
    lines += sql("SELECT ip_address, location FROM mfa_device_trusts")
    assert {value for line in lines for value in line} == {None}


@pytest.mark.requirement("R109")
def test_an_export_that_dies_on_the_way_loses_nothing(mfa: MFA, enrolled: Enrolment) -> None:
    for _ in range(6):
        mfa.challenge(enrolled.user_id)
    received: list[Event] = []
    kept = 0  # what the exporter wrote down, after the page that it last handed over whole

    def run(*, dies_at: int | None = None) -> None:
        nonlocal kept
        while page := mfa.events.export(after=kept, limit=3):
            for event in page:
                if len(received) == dies_at:
                    return
                received.append(event)
            kept = page[-1].id

    run(dies_at=2)
    run(dies_at=6)
    run()
    assert len(received) > 8
    by_id = {event.id: event for event in received}
    assert all(by_id[event.id] == event for event in received)
    assert [by_id[number].seq for number in sorted(by_id)] == list(range(1, 9))
