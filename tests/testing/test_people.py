"""What a host's tests have in hand does what the real thing does."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from pyotp.totp import TOTP

from twofold import MFA, AsyncMFA, Challenge, Reason, Rejected, Request
from twofold.testing import Clock, Owner, Phone, async_engine, engine, enrolled, keys, settings
from twofold.totp.algorithm import Parameters
from twofold.totp.provisioning import base32, uri

NOON = datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
HOSTS = sa.MetaData()
ACCOUNTS = sa.Table(
    "accounts", HOSTS, sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.String(200))
)


def test_a_phone_shows_what_another_app_shows_from_uri_and_secret() -> None:
    clock = Clock(NOON)
    for scanned in (
        SECRET,
        "jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp",
        f"otpauth://totp/Acme:ada?secret={SECRET}&issuer=Acme",
    ):
        assert Phone(scanned, clock).code() == TOTP(SECRET).at(NOON)
    of_eight = uri(b"x" * 32, issuer="Acme", account="ada", parameters=Parameters("SHA256", 8, 60))
    app = TOTP(base32(b"x" * 32), digits=8, digest=hashlib.sha256, interval=60)
    assert Phone(of_eight, clock).code() == app.at(NOON)


def test_a_phone_gives_no_step_twice_unless_asked_and_turns_its_clock() -> None:
    clock = Clock(NOON)
    phone = Phone(SECRET, clock)
    first = phone.code()
    assert phone.code(again=True) == first
    second = phone.code()
    assert clock.now == datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
    assert [first, second] == [TOTP(SECRET).at(NOON), TOTP(SECRET).at(clock.now)]
    clock.forward(timedelta(hours=1))
    phone.code()
    assert clock.now == datetime(2026, 11, 22, 13, 0, 30, tzinfo=UTC)


def test_a_phone_on_a_clock_that_nobody_can_turn_gives_the_next_code_early_and_then_none() -> None:
    phone = Phone(SECRET, lambda: NOON)
    assert phone.code(again=True) == TOTP(SECRET).at(NOON)
    assert phone.code() == TOTP(SECRET).at(NOON, counter_offset=1)
    with pytest.raises(RuntimeError, match=r"twofold\.testing\.Clock"):
        phone.code()


@pytest.mark.parametrize(
    "scanned",
    [
        "",
        "0189",
        "otpauth://hotp/a?secret=JBSWY3DP",
        "otpauth://totp/a?secret=",
        "otpauth://totp/a?secret=JBSWY3DP&algorithm=MD5",
    ],
)
def test_what_no_app_takes_is_refused_without_a_secret_in_the_message(scanned: str) -> None:
    with pytest.raises(ValueError, match=r"otpauth|enrollment\.uri") as caught:
        Phone(scanned)
    assert "JBSWY" not in str(caught.value)


def test_a_wrong_code_is_wrong_for_minutes() -> None:
    phone = Phone(SECRET, Clock(NOON))
    assert phone.wrong_code() not in {TOTP(SECRET).at(NOON, counter_offset=more) for more in range(-5, 6)}


@pytest.fixture
def accounts() -> sa.Engine:
    """A host's own table, with Ada in it."""
    made = engine(HOSTS, users="accounts.id")
    with made.begin() as connection:
        connection.execute(ACCOUNTS.insert(), {"id": 7, "email": "ada@example.com"})
    return made


def log_in(mfa: MFA, ada: Owner, code: str) -> None:
    challenge = mfa.challenge(7)
    assert isinstance(challenge, Challenge)
    assert mfa.verify(challenge.token, code).user_id == 7


def test_an_owner_logs_in_again_and_again_in_a_row(accounts: sa.Engine) -> None:
    clock = Clock()
    mfa = MFA(accounts, settings(users="accounts.id"), clock=clock)
    ada = enrolled(mfa, 7)
    for _ in range(5):
        log_in(mfa, ada, ada.code())
    for _ in ada.backup_codes:
        log_in(mfa, ada, ada.backup_code())
    with pytest.raises(IndexError):
        ada.backup_code()
    with pytest.raises(Rejected) as caught:
        mfa.reverify(7, ada.code(again=True))
    assert caught.value.reason is Reason.CODE_ALREADY_USED
    with pytest.raises(Rejected):
        mfa.reverify(7, ada.wrong_code())
    assert mfa.trusted_devices.trust(mfa.reverify(7, ada.code()), request=Request("192.0.2.1", "Firefox"))
    clock.forward(days=400)
    assert mfa.challenge(7)


def test_an_owner_of_the_awaited_face() -> None:
    async def story() -> None:
        made = await async_engine(HOSTS, users="accounts.id")
        async with made.begin() as connection:
            await connection.execute(ACCOUNTS.insert(), {"id": 7, "email": "ada@example.com"})
        mfa = AsyncMFA(made, settings(users="accounts.id"), clock=Clock())
        ada = await enrolled(mfa, 7)
        assert (await mfa.reverify(7, ada.code())).factor == "totp"
        assert (await mfa.reverify(7, ada.backup_code())).factor == "backup_codes"
        await made.dispose()

    asyncio.run(story())


def test_engines_hold_twofolds_own_users_too_and_enforce_the_key() -> None:
    made = engine()
    with made.begin() as connection:
        connection.exec_driver_sql("INSERT INTO users (id, subject) VALUES (1, 'ada@example.com')")
    mfa = MFA(made, settings(), clock=Clock())
    enrolled(mfa, 1)
    with made.begin() as connection:
        connection.exec_driver_sql("DELETE FROM users")
        assert not connection.exec_driver_sql("SELECT count(*) FROM user_mfa_secrets").scalar_one()
    made.dispose()


def test_keys_are_of_one_moment() -> None:
    assert keys() != keys()
    assert settings(issuer="Acme").issuer == "Acme"
    assert settings(keys=None).keys is None
