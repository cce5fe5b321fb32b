"""Codes of the app against somebody who replays, predicts, or plays with the time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import inspect
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tests.people import Clock, Enrolment, Open, Sql, enroll, log_in, plain_settings
from twofold import MFA, Reason, Rejected
from twofold import mfa as front_door
from twofold.account.row import new_epoch
from twofold.backup_codes import codec
from twofold.keyring import Keyring, generate_key
from twofold.operation import Operation
from twofold.totp import algorithm

if TYPE_CHECKING:
    from collections.abc import Callable

_SECOND = timedelta(seconds=1)


@pytest.mark.requirement("R3")
def test_a_code_of_the_far_future_is_replayed(mfa: MFA, ada: int, clock: Clock, sql: Sql) -> None:
    clock.now = datetime.fromtimestamp(2**32 * 30 + 5, UTC)
    enrolment = enroll(mfa, ada, clock)
    code = enrolment.phone.code()
    log_in(mfa, ada, code)
    assert sql("SELECT last_used_step FROM user_mfa_secrets")[0][0] == clock.now.timestamp() // 30
    with pytest.raises(Rejected) as refused:
        log_in(mfa, ada, code)
    assert refused.value.reason is Reason.CODE_ALREADY_USED


@pytest.mark.requirement("R4", "R31", "R88")
@pytest.mark.parametrize(
    ("draw", "length"),
    [
        (algorithm.generate_secret, 20),
        (lambda: algorithm.generate_secret("SHA512"), 64),
        (lambda: codec.generate(1), 16),
        (lambda: Keyring({"k1": bytes(range(32))}).seal(b"", b""), 12),
        (lambda: generate_key("k1"), 32),
        (new_epoch, 16),
    ],
    ids=["a secret", "a long secret", "a backup code", "a nonce", "a key", "an epoch"],
)
def test_what_is_drawn_comes_whole_from_the_generator_of_the_operating_system(
    monkeypatch: pytest.MonkeyPatch, draw: Callable[[], Any], length: int
) -> None:
    """Whoever knows what that generator gave knows what was drawn, so nothing else is in it: no clock, and no seed."""
    drawn: list[int] = []

    def same(seed: bytes) -> Any:
        stream = io.BytesIO(hashlib.shake_256(seed).digest(100_000))

        def urandom(size: int) -> bytes:
            drawn.append(size)
            return stream.read(size)

        monkeypatch.setattr("os.urandom", urandom)
        monkeypatch.setattr("random._urandom", urandom)
        return draw()

    assert same(b"one") == same(b"one") != same(b"another")
    assert sum(drawn) >= 3 * length


@pytest.mark.requirement("R4")
def test_the_secret_that_an_app_is_given_has_its_whole_length(open_mfa: Open, ada: int) -> None:
    for name, length in (("SHA1", 20), ("SHA256", 32), ("SHA512", 64)):
        secret = open_mfa(algorithm=name).totp.begin(ada, account_name="ada@example.com").secret
        assert len(base64.b32decode(secret + "=" * (-len(secret) % 8))) == length


@pytest.mark.requirement("R6")
def test_a_code_is_tried_a_moment_too_early_and_too_late(open_mfa: Open, ada: int, clock: Clock) -> None:
    phone = enroll(open_mfa(), ada, clock).phone
    start, moment = clock.now.replace(second=0, microsecond=0), timedelta(microseconds=1)
    for window, before, after in ((0, 0, 30), (1, 30, 60), (2, 60, 90)):
        mfa = open_mfa(window=window)
        first, last = timedelta(seconds=-before), timedelta(seconds=after) - moment
        for offset, is_accepted in ((first - moment, False), (first, True), (last + moment, False), (last, True)):
            start += timedelta(minutes=10)
            clock.now = start
            code = phone.code()
            clock.now = start + offset
            if is_accepted:
                assert log_in(mfa, ada, code)
            else:
                with pytest.raises(Rejected) as refused:
                    log_in(mfa, ada, code)
                assert refused.value.reason is Reason.WRONG_CODE


@pytest.mark.requirement("R13")
def test_an_operation_is_told_the_time() -> None:
    operations = {
        f"{name}.{operation}": vars(face)[operation]
        for name, face in vars(front_door).items()
        if isinstance(face, type)
        for operation in vars(face)
        if isinstance(vars(face)[operation], Operation)
    }
    assert len(operations) > 20
    told = {"at", "now", "time", "moment", "clock", "step", "timestamp", "date"}
    for name, operation in operations.items():
        assert not told & set(inspect.signature(operation._function).parameters), name


@pytest.mark.requirement("R14")
def test_the_clock_is_set_back_and_a_day_is_played_again(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    clock.forward(days=1)
    log_in(mfa, enrolled.user_id, enrolled.phone.code())
    clock.forward(days=-1)
    with pytest.raises(Rejected) as refused:
        log_in(mfa, enrolled.user_id, enrolled.phone.code())
    assert refused.value.reason is Reason.CLOCK_WENT_BACK
    (line,) = mfa.events.recent(enrolled.user_id, limit=1)
    assert (line.kind, line.status, line.details["reason"]) == ("code_refused", "alarm", "clock_went_back")
    # The owner has a way in, and the next set-up goes by the clock as it is now.
    verified = log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    begun = mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=verified)
    enrolled.phone.secret = begun.secret
    mfa.totp.confirm(enrolled.user_id, enrolled.phone.code())
    clock.forward(seconds=60)
    assert log_in(mfa, enrolled.user_id, enrolled.phone.code())


@pytest.mark.requirement("R14")
def test_the_clock_is_set_back_by_one_step_and_the_code_replayed(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    code = enrolled.phone.code()
    log_in(mfa, enrolled.user_id, code)
    clock.forward(seconds=-30)
    for replayed in (code, enrolled.phone.code()):
        with pytest.raises(Rejected) as refused:
            log_in(mfa, enrolled.user_id, replayed)
        assert refused.value.reason is Reason.CODE_ALREADY_USED


@pytest.mark.requirement("R6", "R16", "R20", "R45", "R47", "R61", "R75", "R83")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("digits", 5),
        ("digits", 9),
        ("period", 121),
        ("period", 14),
        ("algorithm", "MD5"),
        ("window", 3),
        ("window", -1),
        ("free_failures", -1),
        ("free_failures", 11),
        ("first_wait", 0.9),
        ("first_wait", 3601.0),
        ("longest_wait", 0.9),
        ("longest_wait", 86401.0),
        ("suspend_after", 4),
        ("suspend_after", 101),
        ("failure_limit", 19),
        ("failure_limit", 101),
        ("failure_memory", timedelta(days=7) - _SECOND),
        ("failure_memory", timedelta(days=90) + _SECOND),
        ("backup_code_count", 0),
        ("backup_code_count", 51),
        ("enrollment_lifetime", 601.0),
        ("challenge_lifetime", 601.0),
        ("proof_max_age", 0.0),
        ("proof_max_age", timedelta(hours=12) + _SECOND),
        ("device_lifetime", 0.0),
        ("device_lifetime", timedelta(days=365) + _SECOND),
        ("device_idle", 0.0),
        ("device_idle", timedelta(days=365) + _SECOND),
        ("device_limit", 101),
        ("device_grace", 301.0),
    ],
)
def test_a_setting_is_weakened_past_what_the_standards_allow(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        plain_settings(**{name: value})


@pytest.mark.requirement("R17")
@pytest.mark.parametrize("matching", [-2, 0, 2, None])
def test_the_number_of_comparisons_is_watched(monkeypatch: pytest.MonkeyPatch, matching: int | None) -> None:
    secret, parameters, compared = algorithm.generate_secret(), algorithm.Parameters(digits=8), []
    equal = hmac.compare_digest

    def watched(ours: Any, given: Any) -> bool:
        compared.append((type(ours), type(given)))
        return equal(ours, given)

    code = algorithm.code_at(secret, 1000 + (matching if matching is not None else 50), parameters)
    monkeypatch.setattr(hmac, "compare_digest", watched)
    found = algorithm.matching_step(secret, code, step=1000, window=2, parameters=parameters)
    assert found == (None if matching is None else 1000 + matching)
    assert compared == [(bytes, bytes)] * 5
