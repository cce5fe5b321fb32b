"""Which domain passkeys belong to, of what the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.people import plain_settings
from twofold.passkeys.relying_party import RelyingParty

if TYPE_CHECKING:
    from twofold.settings import Settings

APP = "android:apk-key-hash:" + "A" * 43


def party(**said: Any) -> RelyingParty | None:
    settings: Settings = plain_settings(**said)
    return RelyingParty.of(settings)


@pytest.mark.parametrize(
    ("said", "domain"),
    [
        ({}, None),
        ({"public_url": "https://example.com"}, "example.com"),
        ({"public_url": "https://EXAMPLE.com:8443"}, "example.com"),
        ({"public_url": "http://localhost:5000"}, "localhost"),
        ({"public_url": "https://login.example.com", "rp_id": "example.com"}, "example.com"),
        ({"origins": "https://login.example.com,https://example.com"}, "login.example.com"),
        ({"origins": f"{APP},https://example.com"}, "example.com"),
        ({"origins": APP}, None),
        ({"origins": APP, "rp_id": "example.com"}, "example.com"),
        ({"rp_id": "example.com"}, None),
        # A browser keeps no passkey for a number.
        ({"public_url": "http://127.0.0.1:5000"}, None),
        ({"public_url": "https://192.0.2.1"}, None),
        ({"public_url": "http://[::1]:5000"}, None),
    ],
)
def test_the_domain_is_that_of_the_pages(said: dict[str, Any], domain: str | None) -> None:
    found = party(**said)
    assert (found.id if found else None) == domain


@pytest.mark.parametrize(
    ("said", "astray"),
    [
        ({"public_url": "https://example.com"}, []),
        ({"origins": f"https://a.example.com,{APP}", "rp_id": "example.com"}, []),
        ({"public_url": "https://example.com", "rp_id": "example.org"}, ["https://example.com"]),
        ({"public_url": "https://badexample.com", "rp_id": "example.com"}, ["https://badexample.com"]),
        ({"origins": "https://login.example.com,https://example.com"}, ["https://example.com"]),
    ],
)
def test_pages_of_another_domain_are_told(said: dict[str, Any], astray: list[str]) -> None:
    found = party(**said)
    assert found is not None
    assert found.astray == astray
