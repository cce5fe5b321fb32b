"""A Django project of no more than a database, for the peers that are Django applications."""

# mypy: disable-error-code="import-not-found,import-untyped"
# pyright: reportMissingImports=false

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit


def set_up(url: str, *applications: str, **settings: Any) -> None:
    """Configure Django with these applications beside those for users; connections are kept open."""
    import django
    from django.conf import settings as configured

    parts = urlsplit(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username,
        "HOST": parts.hostname,
        "PORT": parts.port,
        "CONN_MAX_AGE": None,
    }
    configured.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *applications],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SECRET_KEY=secrets.token_hex(32),
        USE_TZ=True,
        **settings,
    )
    django.setup()


def make_users(number: int) -> list[Any]:
    """Make the tables and so many users."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return list(User.objects.bulk_create(User(username=f"ada{n}@example.com") for n in range(number)))
