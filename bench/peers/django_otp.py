"""django-otp: `django_otp.verify_token()` for a TOTP device, as its documentation has it."""

# mypy: disable-error-code="import-not-found,import-untyped"
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from bench.peers import django_site
from bench.peers.line import Peer, serve

if TYPE_CHECKING:
    from collections.abc import Sequence


class DjangoOtp(Peer):
    """One TOTP device for each user, with the defaults. Its wrong codes are throttled by real time."""

    def __init__(self, url: str) -> None:
        django_site.set_up(url, "django_otp", "django_otp.plugins.otp_totp")
        self._devices: list[Any] = []
        from django_otp import verify_token
        from django_otp.oath import TOTP

        self._verify_token = verify_token
        compare = TOTP.verify

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.compared += 1
            return compare(*args, **kwargs)

        TOTP.verify = counting

    def versions(self) -> Sequence[str]:
        """The packages whose versions tell what was measured."""
        return ("django-otp", "django", "psycopg")

    def make(self, number: int) -> list[str]:
        """Make the tables and so many users, each with a device."""
        from django_otp.plugins.otp_totp.models import TOTPDevice

        users = django_site.make_users(number)
        made = TOTPDevice.objects.bulk_create(TOTPDevice(user=user, name="app") for user in users)
        return [base64.b32encode(device.bin_key).decode() for device in made]

    def open(self) -> None:
        """Find the users and their devices."""
        from django_otp.plugins.otp_totp.models import TOTPDevice

        self._devices = list(TOTPDevice.objects.select_related("user").order_by("id"))

    def verify(self, user: int, code: str) -> bool:
        """Verify the code against the user's device, its row locked in a transaction."""
        device = self._devices[user]
        return self._verify_token(device.user, device.persistent_id, code) is not None

    def counted(self, users: Sequence[int]) -> list[int] | None:
        """The failures in the rows of the devices."""
        self.open()
        return [self._devices[user].throttling_failure_count for user in users]


if __name__ == "__main__":
    serve(DjangoOtp)
