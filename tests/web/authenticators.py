"""Authenticators that Chromium plays by itself: keys and machines with passkeys, without hardware.

They are those of the DevTools protocol, domain WebAuthn. Chromium asks all of a page's; the first that answers wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page


@dataclass
class Authenticator:
    """One that is plugged in, or built in."""

    session: CDPSession
    id: str

    def held(self) -> list[dict[str, Any]]:
        """The passkeys that it has made, with their counters."""
        found: list[dict[str, Any]] = self._send("getCredentials")["credentials"]
        return found

    def touched(self, *, by_itself: bool) -> None:
        """Say whether somebody is there who touches it when it asks."""
        self._send("setAutomaticPresenceSimulation", enabled=by_itself)

    def remove(self) -> None:
        """Lose it, with what it holds."""
        self._send("removeVirtualAuthenticator")

    def _send(self, command: str, **more: Any) -> Any:
        return self.session.send(f"WebAuthn.{command}", {"authenticatorId": self.id, **more})


class Authenticators:
    """Those of one page."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable", {"enableUI": False})

    def add(
        self, transport: Literal["internal", "usb"], *, is_resident: bool = True, has_verification: bool = True
    ) -> Authenticator:
        """Plug one in that has a PIN, or a finger, where `has_verification`, and keeps passkeys if `is_resident`."""
        options = {
            "protocol": "ctap2",
            "transport": transport,
            "hasResidentKey": is_resident,
            "hasUserVerification": has_verification,
            "isUserVerified": has_verification,
            "automaticPresenceSimulation": True,
        }
        made = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return Authenticator(self._session, made["authenticatorId"])
