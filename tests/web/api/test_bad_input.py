"""Bodies that no client of ours would send: each is taken or refused, and none is repeated or falls through."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.strange import texts
from twofold.web.api import models, reading
from twofold.web.api.answers import Mistake
from twofold.web.api.operations import OPERATIONS

if TYPE_CHECKING:
    from tests.web.api.host import Program

HEADERS = {"content-type": "application/json"}
TAKEN = sorted({operation.takes for operation in OPERATIONS}, key=str)
names = st.sampled_from(["code", "name", "trust_device", "challenge", "device_token", "session"])
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.just("1" * 130))
values = st.recursive(leaves, lambda inner: st.one_of(st.lists(inner), st.dictionaries(texts, inner)), max_leaves=8)
bodies = st.one_of(st.dictionaries(st.one_of(names, texts), values, max_size=5), values)
SECRET = "PLANTED-493817"


def read(takes: type[models.Taken], sent: bytes) -> models.Taken | None:
    """What is taken; None where it is refused, with a problem that says nothing of it."""
    try:
        return reading.body(takes, HEADERS, sent)
    except Mistake as mistake:
        page = mistake.page
    assert page.status in {400, 413, 415}
    assert page.document is not None
    assert SECRET not in page.document.written()
    return None


@given(takes=st.sampled_from(TAKEN), sent=st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(takes: type[models.Taken], sent: bytes) -> None:
    assert read(takes, sent) is None or takes is models.Nothing


@given(takes=st.sampled_from(TAKEN), body=bodies)
def test_what_is_taken_is_what_was_sent(takes: type[models.Taken], body: Any) -> None:
    found = read(takes, json.dumps(body).encode())
    if found is not None:
        assert found.model_dump(exclude_unset=True) == body


@given(takes=st.sampled_from(TAKEN), place=st.sampled_from(["value", "name", "both"]), kind=values)
def test_a_secret_in_the_wrong_place_is_not_repeated(takes: type[models.Taken], place: str, kind: Any) -> None:
    name = SECRET if place != "value" else "code"
    body = {name: kind if place == "name" else [SECRET]}
    assert read(takes, json.dumps(body).encode()) is None


@given(takes=st.sampled_from(TAKEN), name=names, value=texts)
def test_a_field_that_is_named_twice_is_refused(takes: type[models.Taken], name: str, value: str) -> None:
    pair = f"{json.dumps(name)}: {json.dumps(value)}"
    assert read(takes, f"{{{pair}, {pair}}}".encode()) is None


@pytest.mark.backends("sqlite")
def test_a_name_of_any_letters_is_kept_as_it_was_typed(open_program: Any, mfa: Any, ada_id: int) -> None:
    program: Program = open_program(is_app=True)
    program.sign_in()
    program.enroll()
    proven = mfa.proof(program.headers["Twofold-Proof"])
    device = mfa.trusted_devices.trust(proven)
    for name in ("Das rote", "赤いの", "الأحمر", "</script><b>"):
        assert program.ask("PATCH", f"/devices/{device.device_id}", {"name": name}).status_code == 200
        assert program.ask("GET", "/devices").json()["devices"][0]["name"] == name


@pytest.mark.backends("sqlite")
def test_a_brace_is_no_fault_of_the_settings(enrolled: Program) -> None:
    enrolled.clock.forward(seconds=60)
    answer = enrolled.ask("POST", "/reverify", {"code": "{"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "passkey_refused")
