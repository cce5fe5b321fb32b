"""django-allauth: the TOTP authenticator of `allauth.mfa`, with a cache in PostgreSQL or in the process.

What marks a code as used is the cache of the Django project. The second argument of the program says which one it is:
`shared` for `DatabaseCache`, `local` for Django's default, `LocMemCache`.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from bench.peers import django_site
from bench.peers.line import Peer, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

# Past its default of 300 marks, DatabaseCache throws away marks that are still needed.
_SHARED = {
    "BACKEND": "django.core.cache.backends.db.DatabaseCache",
    "LOCATION": "cache",
    "OPTIONS": {"MAX_ENTRIES": 100_000},
}
_LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}


class Allauth(Peer):
    """One TOTP authenticator for each user, verified as the form does it, without the form and its rate limit."""

    def __init__(self, url: str) -> None:
        self._is_shared = sys.argv[2] == "shared"
        django_site.set_up(
            url,
            "allauth",
            "allauth.account",
            "allauth.mfa",
            CACHES={"default": _SHARED if self._is_shared else _LOCAL},
            MIDDLEWARE=["allauth.account.middleware.AccountMiddleware"],
        )
        self._users: list[Any] = []
        from allauth.mfa.models import Authenticator
        from allauth.mfa.totp.internal import auth

        self._authenticators = Authenticator
        compare = auth.validate_totp_code

        def counting(*args: Any) -> Any:
            self.compared += 1
            return compare(*args)

        auth.validate_totp_code = counting

    def versions(self) -> Sequence[str]:
        """The packages whose versions tell what was measured."""
        return ("django-allauth", "django", "psycopg")

    def make(self, number: int) -> list[str]:
        """Make the tables and so many users, each with an authenticator."""
        from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
        from django.core.management import call_command

        users = django_site.make_users(number)
        call_command("createcachetable", verbosity=0)
        secrets = [generate_totp_secret() for _ in users]
        for user, secret in zip(users, secrets, strict=True):
            TOTP.activate(user, secret)
        return secrets

    def open(self) -> None:
        """Find the users."""
        from django.contrib.auth.models import User

        self._users = list(User.objects.order_by("id"))

    def ready(self, users: Sequence[int]) -> None:
        """Forget the marks: the clock was moved past their end, and DatabaseCache asks another clock."""
        del users
        from django.core.cache import cache

        cache.clear()

    def verify(self, user: int, code: str) -> bool:
        """Try the user's authenticators, and note when one was used."""
        webauthn = self._authenticators.Type.WEBAUTHN
        for authenticator in self._authenticators.objects.filter(user=self._users[user]).exclude(type=webauthn):
            if authenticator.wrap().validate_code(code):
                authenticator.record_usage()
                return True
        return False


if __name__ == "__main__":
    serve(Allauth)
