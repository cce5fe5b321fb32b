"""What all pages of one application share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twofold.web import forms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from twofold.keyring import Keyring
    from twofold.mfa import AsyncMFA
    from twofold.settings import Settings
    from twofold.totp.provisioning import Enrollment
    from twofold.web.look import Look


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages of one application share.

    `draw` renders a QR code, and `pause` waits so many seconds, where that does not hold up other requests.
    `destinations` are further places, by name, that the step-up page may lead back to.
    """

    mfa: AsyncMFA
    settings: Settings
    keyring: Keyring = field(repr=False)
    clock: Callable[[], datetime]
    draw: Callable[[Enrollment], Awaitable[str]]
    pause: Callable[[float], Awaitable[None]]
    login_url: str
    home_url: str
    look: Look
    destinations: Mapping[str, str]

    @property
    def realm(self) -> str:
        """What tells its forms from those of another router."""
        return forms.realm_of(self.settings)
