"""Whatever a stranger sends in the place of a passkey's answer is refused by name, and makes no other error."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.databases import add_passkeys
from tests.fuzz.strange import anything, attempt, characters, often, spoilt
from tests.passkeys.bombs import BOMBS
from tests.people import kinds
from twofold import EnrollmentExpired, Rejected, base64url
from twofold.errors import Reason
from twofold.passkeys import ceremony
from twofold.passkeys.policy import Policy
from twofold.passkeys.relying_party import RelyingParty
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database
    from tests.people import Open

ORIGIN: Final = "https://example.com"
PARTY: Final = RelyingParty("example.com", (ORIGIN,), (), "Notebook", "preferred")
ANY: Final = Policy(frozenset(), ())
HANDLE: Final = base64url.written(bytes(32))
PASSKEYS: Final = [VirtualPasskey(ORIGIN, algorithm=algorithm) for algorithm in (-7, -8, -257)]
MADE: Final = [
    passkey.register(PARTY.creation_options("a challenge", HANDLE, "ada", (), timedelta(minutes=1), "none"))
    for passkey in PASSKEYS
]
SIGNED: Final = [passkey.sign(PARTY.request_options("a challenge", (), timedelta(minutes=1))) for passkey in PASSKEYS]
KEYS: Final = [passkey.public_key for passkey in PASSKEYS]

strange_numbers = st.sampled_from([-1, 2**31, 2**63, 2**64, 10**400, -(10**30), 1e400, -0.0, 1e-320])
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), strange_numbers, st.floats(), st.text(characters, max_size=12)),
    lambda one: st.one_of(st.lists(one, max_size=3), st.dictionaries(st.text(characters, max_size=6), one, max_size=3)),
    max_leaves=6,
)
numbers = st.integers(0, len(PASSKEYS) - 1)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a JSON value, by its keys."""
    if not isinstance(value, dict):
        return [path]
    return [path, *(place for key, one in value.items() for place in places(one, (*path, key)))]


@st.composite
def bent(draw: Callable[[st.SearchStrategy[Any]], Any], issued: str) -> str:
    """A credential with another value in one of its places, one place too many, or other bytes within one."""
    credential = json.loads(issued)
    place = draw(st.sampled_from(places(credential)[1:]))
    inner = credential
    for key in place[:-1]:
        inner = inner[key]
    was = inner[place[-1]]
    match draw(st.sampled_from(["value", "none", "text", "bytes", "bomb", "form"])):
        case "value":
            inner[place[-1]] = draw(json_values)
        case "none":
            del inner[place[-1]]
        case "text" if isinstance(was, str):
            inner[place[-1]] = draw(spoilt(was))
        case "bytes" if isinstance(was, str):
            inner[place[-1]] = draw(_other_bytes(was))
        case "bomb" if isinstance(was, str):
            inner[place[-1]] = base64url.written(draw(st.sampled_from([*BOMBS.values()])))
        case "form" if isinstance(was, str):
            inner[place[-1]] = draw(
                st.sampled_from([f"{was}=", f"{was}==", f" {was}", f"{was}\n", f"{was}*", was + "A"])
            )
        case _:
            inner["more"] = draw(json_values)
    return json.dumps(credential)


@st.composite
def _other_bytes(draw: Callable[[st.SearchStrategy[Any]], Any], was: str) -> str:
    try:
        raw = bytearray(base64url.read(was))
    except ValueError:
        return was
    first = draw(st.integers(0, len(raw)))
    last = draw(st.integers(first, min(len(raw), first + 4)))
    raw[first:last] = draw(st.binary(max_size=6))
    return base64url.written(bytes(raw))


@pytest.mark.requirement("R116", "R117")
@often(200)
@given(st.one_of(anything, spoilt(SIGNED[0]), json_values.map(json.dumps)))
def test_what_is_no_credential_is_refused(text: Any) -> None:
    response, refused = attempt(lambda: ceremony.read(text), ceremony.Refused)
    assert (response is None) != (refused is None)


@pytest.mark.requirement("R117")
@often(300)
@given(numbers.flatmap(lambda number: st.tuples(st.just(number), bent(SIGNED[number]))))
def test_an_assertion_holds_only_as_it_was_signed(picked: tuple[int, str]) -> None:
    number, text = picked

    def judge() -> ceremony.Signed:
        return ceremony.signed(ceremony.read(text), PARTY, KEYS[number], HANDLE)

    signed, refused = attempt(judge, ceremony.Refused)
    if signed is None:
        assert refused is not None
        return
    issued, sent = json.loads(SIGNED[number])["response"], json.loads(text)["response"]
    assert signed == ceremony.Signed(1, backup_eligible=False, backup_state=False, user_verified=True)
    for name in ("clientDataJSON", "authenticatorData"):
        assert sent[name] == issued[name]
    assert sent.get("userHandle") in {None, HANDLE}


@pytest.mark.requirement("R117")
@often(300)
@given(st.sampled_from(MADE).flatmap(bent))
def test_a_registration_is_of_a_key_that_can_sign_or_refused(text: str) -> None:
    made, refused = attempt(lambda: ceremony.made(ceremony.read(text), PARTY, ANY), ceremony.Refused)
    if made is None:
        assert refused is not None
        return
    assert made.algorithm in {-7, -8, -257}
    assert ceremony.algorithm_of(made.public_key) == made.algorithm
    assert base64url.written(made.credential_id) == json.loads(text)["rawId"]
    assert made.transports in {None, "hybrid", "internal", "hybrid,internal"}


@pytest.mark.requirement("R117")
@often(200)
@given(st.one_of(st.binary(max_size=200), st.sampled_from([*BOMBS.values()])))
def test_what_is_no_public_key_is_refused(key: bytes) -> None:
    algorithm, refused = attempt(lambda: ceremony.algorithm_of(key), ceremony.Refused)
    assert (algorithm is None) != (refused is None)


@pytest.fixture
def migrated(migrated: Database) -> Database:
    add_passkeys(migrated)
    return migrated


@pytest.mark.requirement("R116", "R117")
def test_a_login_refuses_whatever_it_is_sent_and_the_passkey_goes_on(open_mfa: Open, ada: int) -> None:
    mfa, passkey = open_mfa(public_url=ORIGIN), VirtualPasskey(ORIGIN)
    mfa.passkeys.confirm(ada, passkey.register(mfa.passkeys.begin(ada, account_name="ada@example.com")))
    challenge: Any = mfa.challenge(ada)
    accepted = passkey.sign(challenge.passkey_options)
    stepping = mfa.passkeys.ask(ada)

    @often(30)
    @given(data=st.data(), is_login=st.booleans())
    def offer(*, data: st.DataObject, is_login: bool) -> None:
        asked = copy.copy(passkey)
        issued = asked.sign(challenge.passkey_options if is_login else stepping, signature=b"none")
        text = data.draw(st.one_of(bent(issued), spoilt(issued)))
        door = (lambda: mfa.verify(challenge.token, text)) if is_login else (lambda: mfa.reverify(ada, text))
        verified, refused = attempt(door, Rejected)
        assert verified is None
        assert refused is not None
        assert refused.reason in {Reason.PASSKEY_REFUSED, Reason.MALFORMED, Reason.WRONG_CODE}

    offer()
    assert mfa.verify(challenge.token, accepted)
    assert "passkey_cloned" not in kinds(mfa, ada)
    assert mfa.status(ada).failed_attempts == 0


@pytest.mark.requirement("R116", "R117")
def test_a_registration_refuses_whatever_it_is_sent(open_mfa: Open, ada: int) -> None:
    mfa, passkey = open_mfa(public_url=ORIGIN), VirtualPasskey(ORIGIN)
    asked = mfa.passkeys.begin(ada, account_name="ada@example.com")
    # Of another domain, so that nothing of it is accepted.
    issued = passkey.register(asked, rp_id="example.org")

    @often(30)
    @given(st.one_of(bent(issued), spoilt(issued), anything))
    def offer(text: Any) -> None:
        registered, refused = attempt(lambda: mfa.passkeys.confirm(ada, text), Rejected, EnrollmentExpired)
        assert registered is None
        assert refused is not None

    offer()
    passkey.rp_id = None
    assert mfa.passkeys.confirm(ada, passkey.register(asked)).backup_codes
