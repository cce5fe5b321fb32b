"""Whoever reads more out of a provisioning URI than it should say, or writes more into it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from pydantic import ValidationError
from pyotp import parse_uri
from pyotp.totp import TOTP

from tests.people import Clock, Open, Phone, plain_settings
from twofold import MFA, Rejected


@pytest.fixture
def face() -> str:
    """These attacks aim at what both faces share."""
    return "blocking"


@pytest.mark.requirement("R111")
@pytest.mark.parametrize("issuer", ["Twofold:Other", ":", "Two\nfold", "Two\u202efold", " ", "", "x" * 65])
def test_an_issuer_that_would_be_read_as_another_does_not_start(issuer: str) -> None:
    with pytest.raises(ValidationError, match="issuer"):
        plain_settings(issuer=issuer)


@pytest.mark.requirement("R111")
@pytest.mark.backends("sqlite")
@pytest.mark.parametrize(
    "account",
    [
        "ada&secret=AAAA",
        "ada?issuer=Other",
        "Other:ada",
        "ada%3Aeve",
        "ada\r\nHost: x",
        "ada#x",
        "ada/../x",
        "a" * 4000,
    ],
)
def test_an_account_name_writes_nothing_but_the_account(mfa: MFA, ada: int, account: str) -> None:
    begun = mfa.totp.begin(ada, account_name=account)
    read: Any = parse_uri(begun.uri)
    assert (read.issuer, read.secret) == ("Twofold", begun.secret)
    parts = urlsplit(begun.uri)
    assert parse_qs(parts.query) == {"secret": [begun.secret], "issuer": ["Twofold"]}
    assert unquote(parts.path).count(":") == 1
    assert begun.uri.isascii()
    assert begun.uri.isprintable()
    assert begun.qr_png()


@pytest.mark.requirement("R113")
def test_an_app_that_ignores_the_parameters_locks_nobody_out(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(algorithm="SHA256", digits=8, period=60)
    begun = mfa.totp.begin(ada, account_name="ada@example.com")
    with pytest.raises(Rejected):
        mfa.totp.confirm(ada, Phone(begun.secret, clock).code())
    assert not mfa.challenge(ada)
    heeding = parse_uri(begun.uri)
    assert isinstance(heeding, TOTP)
    assert mfa.totp.confirm(ada, heeding.at(clock.now))
    assert mfa.challenge(ada)


@pytest.mark.requirement("R114")
@pytest.mark.backends("sqlite")
def test_an_app_is_told_the_name_that_the_host_chose_and_nothing_else_of_the_user(
    mfa: MFA, grace: int, ada: int
) -> None:
    begun = mfa.totp.begin(ada, account_name="Member 7")
    rest = begun.uri.replace(begun.secret, "").replace("Member%207", "")
    assert rest == "otpauth://totp/Twofold:?secret=&issuer=Twofold"
