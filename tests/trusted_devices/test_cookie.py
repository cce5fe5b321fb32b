"""The name of a trusted device's cookie: another one for each user, the same for ever, and pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from pydantic import ValidationError

from tests.people import FIREFOX, Enrolment, Open, log_in, plain_settings
from twofold import MFA, AsyncMFA, Cleared
from twofold.database import create_async_engine, create_engine
from twofold.keyring import generate_key
from twofold.trusted_devices.cookie import MOST, crowded_out, name_for

if TYPE_CHECKING:
    from twofold.outcomes import UserId

USERS: tuple[UserId, ...] = (1, -1, 12345678, 2**63 - 1, "ada@example.com", "Ådå; =\r\n", UUID(int=7), "x" * 255, "")


@pytest.mark.requirement("R72", "R74")
def test_each_user_has_a_short_name_that_every_header_takes_and_that_shows_no_id() -> None:
    names = [name_for(plain_settings(), user_id) for user_id in USERS]
    assert len(set(names)) == len(USERS)
    for name in names:
        assert re.fullmatch(r"twofold_device_[0-9a-f]{12}", name)
    assert "12345678" not in names[2]
    longest = plain_settings(device_cookie="x" * 40)
    # The name with its mark, and the token, are below the 4096 bytes that every browser keeps (RFC 6265 §6.1).
    assert len(f"__Host-{name_for(longest, 1)}") == 60


def test_it_stays_whatever_keys_come_and_however_the_id_is_written() -> None:
    before, after = (plain_settings(keys=generate_key(kid)) for kid in ("k1", "k2"))
    assert name_for(before, 7) == name_for(after, 7) == name_for(after, "7") == "twofold_device_3beacc332296"
    assert name_for(plain_settings(device_cookie="staff"), 7) == "staff_3beacc332296"


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a=b", "é", "__Host-a", "1a", "a" * 41, "a\n"])
def test_what_is_no_name_for_a_cookie_does_not_start(name: str) -> None:
    with pytest.raises(ValidationError, match="device_cookie"):
        plain_settings(device_cookie=name)


def test_both_faces_tell_it_without_a_database() -> None:
    settings = plain_settings(keys=generate_key("k1"))
    nowhere = "postgresql+psycopg://nobody@192.0.2.1:1/nothing"
    blocking, awaited = MFA(create_engine(nowhere), settings), AsyncMFA(create_async_engine(nowhere), settings)
    expected = name_for(settings, 7)
    assert blocking.trusted_devices.cookie_name(7) == awaited.trusted_devices.cookie_name(7) == expected


@pytest.mark.requirement("R72")
def test_every_token_comes_with_the_name_for_its_user(mfa: MFA, open_mfa: Open, enrolled: Enrolment) -> None:
    name = mfa.trusted_devices.cookie_name(enrolled.user_id)
    device = mfa.trusted_devices.trust(log_in(mfa, enrolled.user_id, enrolled.phone.code()), request=FIREFOX)
    assert device.cookie_name == name
    cleared = open_mfa(device_cookie="staff").challenge(enrolled.user_id, device_token=device.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    assert cleared.device.cookie_name == name.replace("twofold_device", "staff")


def test_past_twenty_the_one_that_the_browser_names_first_goes() -> None:
    settings, staff = plain_settings(), plain_settings(device_cookie="staff")
    names = [name_for(settings, number) for number in range(50)]
    assert crowded_out(names[19], names[:19]) == []
    assert crowded_out(names[3], names[:20]) == []
    assert crowded_out(names[20], names[:20]) == [names[0]]
    assert crowded_out(names[49], names[:49]) == names[: 50 - MOST]
    others = [name_for(staff, number) for number in range(50)] + ["session", "twofold_device", "twofold_device_x"]
    assert crowded_out(names[20], [*others, *names[:20]]) == [names[0]]
    # A host that calls its cookie otherwise has no family to look after.
    assert crowded_out("remember_me", names) == []
