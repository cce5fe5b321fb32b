"""A value that holds a secret is neither printed nor pickled nor turned into JSON, whoever has it."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import pickle
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

import twofold
from tests.attacks.witness import printed
from tests.canaries import Canaries
from tests.people import Enrolment, plain_settings
from twofold import MFA, Challenge, Cleared, DeviceToken, Enrolled, Enrollment, Rejected, Request, Verified
from twofold.confidential import Confidential
from twofold.keyring import Keyring
from twofold.web import fastapi, page, visit

pytestmark = pytest.mark.every_driver

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
KEYS = "k1:" + base64.b64encode(hashlib.sha256(b"a key").digest()).decode()
URI = f"otpauth://totp/Acme:ada%40example.com?secret={SECRET}&issuer=Acme"


HIDING = [
    value
    for module in (twofold, page, visit)
    for value in vars(module).values()
    if is_dataclass(value) and isinstance(value, type) and not all(each.repr for each in fields(value))
]


@pytest.mark.requirement("R93")
def test_whatever_hides_a_field_refuses_to_be_pickled() -> None:
    assert {value.__name__ for value in HIDING} >= {"Challenge", "DeviceToken", "Verified", "Enrolled", "Enrollment"}
    assert [value for value in HIDING if not issubclass(value, Confidential)] == []


def confidential() -> list[Any]:
    """One of each of the values that hold a secret."""
    now = datetime.now(UTC)
    verified = Verified(1, "totp", now, ("pwd", "otp", "mfa"), SECRET)
    device = DeviceToken(SECRET, 1, now, 60, "twofold_device_3beacc332296")
    return [
        Challenge(1, SECRET, ("totp",), now),
        Cleared(1, "trusted_device", device),
        device,
        verified,
        Enrolled((SECRET,), verified),
        Enrollment(SECRET, URI, now),
        fastapi.Waiting(SECRET, SECRET, "ada@example.com"),
        fastapi.SignedIn(SECRET, 1, "ada@example.com", SECRET),
        visit.Visit(None, "/mfa", {"cookie": SECRET}, Request(), body=SECRET.encode(), form={"code": SECRET}),
        page.Page(context={"secret": SECRET}, body=SECRET),
        plain_settings(keys=KEYS, legacy_fernet_key=SECRET, database_url=f"postgresql://ada:{SECRET}@localhost/app"),
        Keyring.parse(KEYS),
    ]


@pytest.mark.requirement("R93")
@pytest.mark.parametrize("value", confidential(), ids=lambda value: type(value).__name__)
def test_a_value_that_holds_a_secret_is_neither_printed_nor_pickled_nor_turned_into_json(
    value: Any,
) -> None:
    canaries = Canaries()
    canaries.hide_secret(SECRET)
    canaries.hide("the URI", URI)
    canaries.hide_keys(KEYS)
    assert canaries.seen_in(printed(value)) == []
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for whole in (value, {"session": [value]}):
            with pytest.raises(TypeError, match=type(value).__name__ + ".*secret"):
                pickle.dumps(whole, protocol)
    with pytest.raises(TypeError):
        json.dumps(value)
    assert copy.deepcopy([value])[0] is not None


@pytest.mark.requirement("R93")
def test_what_holds_no_secret_is_pickled_as_ever(mfa: MFA, enrolled: Enrolment) -> None:
    for value in (
        mfa.status(enrolled.user_id),
        mfa.events.recent(enrolled.user_id),
        mfa.events.verify(enrolled.user_id),
    ):
        assert pickle.loads(pickle.dumps(value)) == value
    with pytest.raises(Rejected) as refused:
        mfa.reverify(enrolled.user_id, enrolled.phone.wrong_code())
    assert vars(pickle.loads(pickle.dumps(refused.value))) == vars(refused.value)
