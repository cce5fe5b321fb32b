"""The page on passkeys runs from top to bottom, and its adoption holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cbor2
import pytest

from tests.passkeys.test_story import registered, signed_in
from tests.people import FIREFOX, ORIGIN, Open, kinds
from tests.test_docs import blocks, run
from twofold import Challenge, LastFactor, Reason, Rejected
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from twofold import MFA

pytestmark = pytest.mark.passkeys

PAGE = "docs/passkeys.md"


def of_before(passkey: VirtualPasskey) -> dict[str, Any]:
    """What a table made by hand holds of a passkey."""
    passkey.rp_id, passkey.handle = "example.com", "bXkgaGFuZGxl"
    return {
        "credential_id": passkey.credential_id,
        "public_key": passkey.public_key,
        "user_handle": b"my handle",
        "sign_count": passkey.counter,
        "can_sync": passkey.can_sync,
        "name": "A key of before",
    }


def test_the_page_runs_from_top_to_bottom(mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey) -> None:
    held = of_before(VirtualPasskey(ORIGIN))
    names: dict[str, Any] = {
        "mfa": mfa,
        "user_id": ada,
        "other_user_id": grace,
        "passkey": passkey,
        "firefox": FIREFOX,
        "LastFactor": LastFactor,
        "raw_id": held["credential_id"],
        "cose_key": held["public_key"],
        "handle": held["user_handle"],
    }
    for number in range(len(blocks(PAGE))):
        run(PAGE, number, names)


def test_a_passkey_of_before_goes_on(mfa: MFA, ada: int, grace: int) -> None:
    passkey = VirtualPasskey(ORIGIN, counter=41)
    held = of_before(passkey)
    adopted = mfa.passkeys.adopt(ada, **held, transports=["usb"])
    assert mfa.passkeys.adopt(ada, **held) == adopted
    assert kinds(mfa, ada) == ["passkey_registered"]
    challenge = mfa.challenge(ada)
    assert isinstance(challenge, Challenge)
    assert challenge.factors == ("passkeys",)
    verified = signed_in(mfa, ada, passkey)
    assert mfa.backup_codes.regenerate(verified)
    with pytest.raises(Rejected) as error:
        mfa.passkeys.adopt(grace, **held)
    assert error.value.reason is Reason.PASSKEY_REFUSED
    assert registered(mfa, ada, VirtualPasskey(ORIGIN), verified=verified).backup_codes == ()


def test_what_cannot_be_a_passkey_is_not_adopted(open_mfa: Open, ada: int) -> None:
    mfa = open_mfa(public_url=ORIGIN)
    held = of_before(VirtualPasskey(ORIGIN))
    every: list[dict[str, Any]] = [
        {"public_key": b""},
        {"public_key": cbor2.dumps({1: 2, 3: -36})},
        {"credential_id": b""},
        {"credential_id": bytes(1024)},
        {"sign_count": -1},
        {"sign_count": 2**32},
        {"user_handle": bytes(65)},
        {"name": ""},
    ]
    for wrong in every:
        with pytest.raises(ValueError, match=r".{20}"):
            mfa.passkeys.adopt(ada, **held | wrong)
    assert not mfa.status(ada).is_enrolled
