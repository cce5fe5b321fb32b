"""Whoever wants the comfort of a trusted browser without having earned it, or after it has ended."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.people import FIREFOX, Clock, Enrolment, Open, Sql, challenged, enroll, log_in
from twofold import MFA, Challenge, Cleared, DeviceToken, Stale, Verified

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def face() -> str:
    """These attacks aim at what both faces share."""
    return "blocking"


@pytest.fixture
def firefox(mfa: MFA, enrolled: Enrolment) -> DeviceToken:
    """Ada's browser, trusted after a login."""
    return mfa.trusted_devices.trust(log_in(mfa, enrolled.user_id, enrolled.phone.code()), request=FIREFOX)


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jwt(claims: dict[str, Any], *, key: bytes | None) -> str:
    """What a forger would send who hopes for a self-contained cookie."""
    header = {"alg": "HS256" if key else "none", "typ": "JWT"}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)]
    signature = hmac.digest(key, ".".join(parts).encode(), "sha256") if key else b""
    return ".".join((*parts, base64.urlsafe_b64encode(signature).decode().rstrip("=")))


@pytest.mark.requirement("R72", "R95")
def test_a_token_cannot_be_guessed_and_only_keyed_hashes_of_it_are_kept(firefox: DeviceToken, sql: Sql) -> None:
    line, secret = firefox.token.split(".")
    assert len(unpadded(line)) * 8 == 128
    assert len(unpadded(secret)) * 8 == 256
    (row,) = sql("SELECT * FROM mfa_device_trusts")
    plain = {hashlib.sha256(text.encode()).hexdigest() for text in (firefox.token, line, secret)}
    for value in map(str, row):
        assert not any(text in value for text in (line, secret, *plain))


@pytest.mark.requirement("R73")
@pytest.mark.attack("A21")
def test_nothing_else_is_taken_for_a_token(mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, sql: Sql) -> None:
    line, secret = firefox.token.split(".")
    ((fingerprint, digest),) = sql("SELECT device_fingerprint, trust_token FROM mfa_device_trusts")
    claims = {"sub": str(enrolled.user_id), "user_id": enrolled.user_id, "trusted": True, "exp": 2**40}
    made_up = [
        jwt(claims, key=None),
        jwt(claims, key=b"secret"),
        jwt(claims, key=fingerprint.encode()),
        challenged(mfa, enrolled.user_id),
        enrolled.verified.token,
        enrolled.backup_codes[0],
        fingerprint,
        digest,
        secret,
        f"{secret}.{line}",
        firefox.token.swapcase(),
        f" {firefox.token}",
    ]
    for token in made_up:
        assert mfa.challenge(enrolled.user_id, device_token=token, request=FIREFOX), token
    assert not mfa.challenge(enrolled.user_id, device_token=firefox.token, request=FIREFOX)


@pytest.mark.requirement("R73")
@pytest.mark.attack("A21")
def test_a_token_with_another_end_is_a_copy_and_ends_the_trust(mfa: MFA, enrolled: Enrolment) -> None:
    forgeries: list[Callable[[str], str]] = [
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token.partition(".")[0],
        lambda token: token.partition(".")[0] + "." + "A" * 43,
    ]
    for forge, code in zip(forgeries, enrolled.backup_codes, strict=False):
        token = mfa.trusted_devices.trust(log_in(mfa, enrolled.user_id, code), request=FIREFOX).token
        assert mfa.challenge(enrolled.user_id, device_token=forge(token), request=FIREFOX)
        assert mfa.challenge(enrolled.user_id, device_token=token, request=FIREFOX)


@pytest.mark.requirement("R75")
def test_trust_ends_to_the_second_whatever_the_cookie_says(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(device_lifetime=timedelta(days=3))
    enrolment = enroll(mfa, ada, clock)
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolment.phone.code()), request=FIREFOX)
    token = device.token
    for moment in (*(clock.now + timedelta(days=day) for day in (1, 2)), device.expires_at - timedelta(seconds=1)):
        clock.now = moment
        cleared = mfa.challenge(ada, device_token=token, request=FIREFOX)
        assert isinstance(cleared, Cleared)
        assert cleared.device is not None
        assert cleared.device.expires_at == device.expires_at
        token = cleared.device.token
    clock.now = device.expires_at
    assert mfa.challenge(ada, device_token=token, request=FIREFOX)


@pytest.mark.requirement("R76")
@pytest.mark.attack("A23")
def test_a_trusted_browser_has_nothing_to_manage_the_factor_with(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    cleared = mfa.challenge(enrolled.user_id, device_token=firefox.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    for token in (firefox.token, cleared.device.token):
        with pytest.raises(Stale):
            mfa.proof(token)
        pretended = Verified(enrolled.user_id, "totp", clock.now, ("pwd", "otp", "mfa"), token)
        for operation in (
            lambda it=pretended: mfa.trusted_devices.trust(it, request=FIREFOX),
            lambda it=pretended: mfa.backup_codes.regenerate(it),
            lambda it=pretended: mfa.totp.disable(it),
            lambda it=pretended: mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=it),
        ):
            with pytest.raises(Stale):
                operation()
    status = mfa.status(enrolled.user_id)
    assert (status.is_enrolled, status.is_pending, status.backup_codes_remaining) == (True, False, 10)


@pytest.mark.requirement("R77")
@pytest.mark.attack("A22")
def test_no_half_login_and_no_way_around_earns_trust(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    user_id, proven = enrolled.user_id, log_in(mfa, enrolled.user_id, enrolled.phone.code())

    def refused(token: str) -> None:
        with pytest.raises(Stale):
            mfa.trusted_devices.trust(Verified(user_id, "totp", clock.now, proven.amr, token), request=FIREFOX)

    refused(challenged(mfa, user_id))  # after the password alone
    refused("")  # after no second factor at all
    mfa.password_changed(user_id)
    refused(proven.token)
    clock.forward(seconds=30)
    before = log_in(mfa, user_id, enrolled.phone.code()).token
    mfa.reset(user_id, by="grace@example.com", reason="lost phone")
    refused(before)  # after an operator let her in without the phone
    mfa.totp.begin(user_id, account_name="ada@example.com")
    refused(before)
    assert mfa.trusted_devices.list(user_id) == ()


@pytest.mark.requirement("R77")
def test_a_backup_code_is_a_second_factor_and_earns_trust_like_the_app(mfa: MFA, enrolled: Enrolment) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    assert verified.factor == "backup_codes"
    token = mfa.trusted_devices.trust(verified, request=FIREFOX).token
    assert not mfa.challenge(enrolled.user_id, device_token=token, request=FIREFOX)


def another_app(mfa: MFA, enrolment: Enrolment, verified: Verified) -> None:
    enrolment.phone.secret = mfa.totp.begin(enrolment.user_id, account_name="ada@example.com", verified=verified).secret
    mfa.totp.confirm(enrolment.user_id, enrolment.phone.code())


ENDINGS: dict[str, Callable[[MFA, Enrolment, Verified], Any]] = {
    "the password was changed": lambda mfa, it, _: mfa.password_changed(it.user_id),
    "another app was set up": another_app,
    "the factor was turned off": lambda mfa, _, verified: mfa.totp.disable(verified),
    "an operator reset it": lambda mfa, it, _: mfa.reset(it.user_id, by="grace", reason="lost phone"),
    "an operator repaired it": lambda mfa, it, _: mfa.repair(it.user_id, by="grace", reason="nightly check"),
    "the account was erased": lambda mfa, it, _: mfa.erase(it.user_id),
    "its owner revoked all": lambda mfa, it, _: mfa.trusted_devices.revoke_all(it.user_id),
    "its owner revoked it": lambda mfa, it, _: mfa.trusted_devices.revoke(
        it.user_id, mfa.trusted_devices.list(it.user_id)[0].id
    ),
}


@pytest.mark.requirement("R78")
@pytest.mark.attack("A14")
def test_whatever_ends_trust_ends_it_in_every_process_at_once(open_mfa: Open, ada: int, clock: Clock, sql: Sql) -> None:
    here, elsewhere = open_mfa(), open_mfa()
    enrolment = enroll(here, ada, clock)
    for why, end in ENDINGS.items():
        verified = log_in(here, ada, enrolment.phone.code())
        token = here.trusted_devices.trust(verified, request=FIREFOX).token
        cleared = elsewhere.challenge(ada, device_token=token, request=FIREFOX)
        assert isinstance(cleared, Cleared)
        assert cleared.device is not None, why
        clock.forward(seconds=60)
        end(here, enrolment, verified)
        # At once, and not only when a new factor is there.
        assert sql("SELECT * FROM mfa_device_trusts WHERE revoked_at IS NULL") == [], why
        answer = elsewhere.challenge(ada, device_token=cleared.device.token, request=FIREFOX)
        if isinstance(answer, Cleared):
            assert answer.because == "not_enrolled", why
            enrolment = enroll(elsewhere, ada, clock)
            answer = elsewhere.challenge(ada, device_token=cleared.device.token, request=FIREFOX)
        assert isinstance(answer, Challenge), why
        clock.forward(seconds=60)


@pytest.mark.requirement("R78")
def test_the_next_owner_of_an_id_does_not_inherit_the_browser(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, sql: Sql, clock: Clock
) -> None:
    sql("DELETE FROM users WHERE id = :id", id=enrolled.user_id)
    sql(
        "INSERT INTO users (id, subject, created_at) VALUES (:id, 'grace@example.com', '2026-01-01 00:00:00')",
        id=enrolled.user_id,
    )
    enroll(mfa, enrolled.user_id, clock)
    assert mfa.challenge(enrolled.user_id, device_token=firefox.token, request=FIREFOX)
