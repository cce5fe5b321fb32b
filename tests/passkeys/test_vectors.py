"""What real authenticators have said, as other libraries publish it: `vectors.json` names the sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from twofold import base64url
from twofold.passkeys import cbor, ceremony
from twofold.passkeys.policy import Policy
from twofold.passkeys.relying_party import RelyingParty

VECTORS: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
PARTY: Final = RelyingParty("localhost", ("http://localhost:5000",), (), "Notebook", "preferred")
ALGORITHMS: Final = {"es256": -7, "rs256": -257, "eddsa": -8}


def named(kind: str) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in VECTORS[kind]]


@pytest.mark.requirement("R117")
@pytest.mark.parametrize("vector", named("signed"))
def test_an_assertion_of_an_authenticator_holds_by_its_key(vector: dict[str, Any]) -> None:
    response = ceremony.read(json.dumps(vector["credential"]))
    assert response.challenge == base64url.read(vector["challenge"])
    handle, key = vector["credential"]["response"].get("userHandle", ""), base64url.read(vector["public_key"])
    if "incorrect" in vector["name"]:
        with pytest.raises(ceremony.Refused, match="signature"):
            ceremony.signed(response, PARTY, key, handle)
        return
    signed = ceremony.signed(response, PARTY, key, handle)
    assert (signed.sign_count, signed.user_verified) in {(78, False), (1, True)}
    assert not signed.backup_eligible
    with pytest.raises(ceremony.Refused, match="another origin"):
        ceremony.signed(response, PARTY._replace(origins=("http://localhost:5001",)), key, handle)
    with pytest.raises(ceremony.Refused, match="another domain"):
        ceremony.signed(response, PARTY._replace(id="example.com"), key, handle)


@pytest.mark.requirement("R117")
@pytest.mark.parametrize("vector", named("made"))
def test_a_registration_of_an_authenticator_holds(vector: dict[str, Any]) -> None:
    response = ceremony.read(json.dumps(vector["credential"]))
    assert response.challenge == base64url.read(vector["challenge"])
    made = ceremony.made(response, PARTY, Policy(frozenset(), ()))
    assert base64url.written(made.credential_id) == vector["credential"]["id"]
    assert made.algorithm == (-8 if "okp" in vector["name"] else -7)
    assert made.attestation_format == ("none" if "none" in vector["name"] else "packed")


@pytest.mark.requirement("R117")
@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_key_of_an_authenticator_is_of_its_algorithm(name: str) -> None:
    assert ceremony.algorithm_of(bytes.fromhex(VECTORS["keys"][name])) == ALGORITHMS[name]


def test_what_an_authenticator_writes_is_bounded() -> None:
    cbor.require_authenticator_data(bytes.fromhex(VECTORS["keys"]["auth_data_mc"]))
    cbor.require_authenticator_data(bytes.fromhex(VECTORS["keys"]["auth_data_ga"]))
    cbor.require_one(bytes.fromhex(VECTORS["keys"]["mc_resp"]))
