"""The programs of the peers, each in an environment and a process of its own: `bench.peers.programs KEY URL`.

Orders come in as JSON, a line each, and answers go out so. Nothing but the standard library is imported before the
clock is set. What is configured of a peer stands in `peers.toml`.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
import time
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Peer:
    """A library that verifies codes of an authenticator app, with users of its own, who are numbered from 0.

    `make` makes tables and users and returns the secrets in base32; `found` returns the users, whom another process may
    have made; `verify` says whether a code is good, once everything is written that keeps it from being good again.
    """

    users: Sequence[Any] = ()
    make: Any
    found: Any
    verify: Any

    def open(self) -> None:
        self.users = list(self.found())

    def ready(self, users: Sequence[int]) -> None:
        """Do what an application does before a code is typed; it is not measured."""

    def answer(self, answers: Sequence[tuple[int, str]], begin: float = 0.0, pause: float = 0.0) -> dict[str, Any]:
        """Verify one after the other; where a race begins, each at the moment at which all others do."""
        accepted, failed = list[int](), list[str]()
        cpu, began = time.process_time(), time.perf_counter()
        for number, (user, code) in enumerate(answers):
            if begin:
                time.sleep(max(0.0, begin + number * pause - time.monotonic()))
            try:
                accepted += [user] if self.verify(user, code) else []
            except Exception as error:  # noqa: BLE001 - in a race some peers fail, and the driver decides what that means.
                failed.append(f"{type(error).__name__}: {error}")
        taken = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        return taken | {"accepted": accepted, "failed": failed}


class Twofold(Peer):
    """`MFA.verify` with the defaults, and challenges that were issued beforehand. The keys are in the environment."""

    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        import sqlalchemy as sa

        from bench import population
        from twofold import MFA, Rejected, Settings

        self._engine, self._query = sa.create_engine(url), sa.text("SELECT id FROM users ORDER BY id")
        self._clock, self._own = lambda: datetime.fromtimestamp(time.time(), UTC), population
        self._rejected = Rejected
        made: dict[str, Any] = settings | {"_env_file": None}
        self._mfa, self._challenges = MFA(self._engine, Settings(**made), clock=self._clock), dict[int, str]()

    def make(self, number: int) -> list[str]:
        users = self._own.add_users(self._engine, number)
        return [person.app.secret for person in self._own.enrol(self._mfa, self._clock, users)]

    def found(self) -> Any:
        with self._engine.connect() as connection:
            return connection.execute(self._query).scalars().all()

    def ready(self, users: Sequence[int]) -> None:
        for user in users:
            asked: Any = self._mfa.challenge(self.users[user], request=self._own.BROWSER)
            self._challenges[user] = asked.token

    def verify(self, user: int, code: str) -> bool:
        try:
            return bool(self._mfa.verify(self._challenges[user], code, request=self._own.BROWSER))
        except self._rejected:
            return False


class _Django(Peer):
    """A Django project of no more than a database, whose connections are kept open."""

    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        import django
        from django.conf import settings as configured

        parts = urlsplit(url)
        database: dict[str, Any] = {"ENGINE": "django.db.backends.postgresql", "NAME": parts.path[1:]}
        database |= {"USER": parts.username, "HOST": parts.hostname, "PORT": parts.port, "CONN_MAX_AGE": None}
        settings["INSTALLED_APPS"] += ["django.contrib.auth", "django.contrib.contenttypes"]
        settings |= {"DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField", "USE_TZ": True}
        configured.configure(DATABASES={"default": database}, SECRET_KEY=secrets.token_hex(32), **settings)
        django.setup()
        from django.contrib.auth.models import User

        self._model = User

    def make_users(self, number: int) -> list[Any]:
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
        return list(self._model.objects.bulk_create(self._model(username=f"ada{n}@example.com") for n in range(number)))


class DjangoOtp(_Django):
    """`django_otp.verify_token()` with the defaults, for a TOTP device of each user, its row locked meanwhile."""

    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        super().__init__(url, settings)
        from django_otp import verify_token
        from django_otp.plugins.otp_totp.models import TOTPDevice

        self._verify_token, self._devices = verify_token, TOTPDevice.objects

    def make(self, number: int) -> list[str]:
        made = self._devices.bulk_create(self._devices.model(user=one, name="app") for one in self.make_users(number))
        return [base64.b32encode(device.bin_key).decode() for device in made]

    def found(self) -> Any:
        return self._devices.select_related("user").order_by("id")

    def verify(self, user: int, code: str) -> bool:
        device = self.users[user]
        return self._verify_token(device.user, device.persistent_id, code) is not None


class Allauth(_Django):
    """The TOTP authenticator of `allauth.mfa`, verified as its form does it, without the form and its rate limit.

    What marks a code as used is the cache of the project. In the database, where it is shared, it throws away marks
    that are still needed past its default of 300 of them, so it has more room; Django's default is one in the process.
    """

    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        super().__init__(url, settings)
        from allauth.mfa.models import Authenticator
        from allauth.mfa.totp.internal import auth
        from django.core.cache import cache as marks

        self._authenticators, self._auth, self._marks = Authenticator, auth, marks

    def make(self, number: int) -> list[str]:
        users, made = self.make_users(number), [self._auth.generate_totp_secret() for _ in range(number)]
        for user, secret in zip(users, made, strict=True):
            self._auth.TOTP.activate(user, secret)
        return made

    def found(self) -> Any:
        return self._model.objects.order_by("id")

    def ready(self, users: Sequence[int]) -> None:
        """Forget the marks: the clock was moved past their end, and the cache asks another clock."""
        del users
        self._marks.clear()

    def verify(self, user: int, code: str) -> bool:
        webauthn = self._authenticators.Type.WEBAUTHN
        for authenticator in self._authenticators.objects.filter(user=self.users[user]).exclude(type=webauthn):
            if authenticator.wrap().validate_code(code):
                authenticator.record_usage()
                return True
        return False


class FlaskSecurity(Peer):
    """Flask-Security-Too: users with a sealed secret in their row. As shipped, a match is written nowhere."""

    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        from flask import Flask
        from flask_security import Security, SQLAlchemyUserDatastore
        from flask_security.models import fsqla_v2
        from flask_sqlalchemy import SQLAlchemy

        self._app: Any = Flask(__name__)
        self._app.config.update(settings, SECRET_KEY=secrets.token_hex(32), SQLALCHEMY_DATABASE_URI=url)
        db: Any = SQLAlchemy(self._app)
        fsqla_v2.FsModels.set_db_info(db)
        role = type("Role", (db.Model, fsqla_v2.FsRoleMixin), {"__module__": __name__})
        self._user: Any = type("User", (db.Model, fsqla_v2.FsUserMixin), {"__module__": __name__})
        self._db, self._security = db, Security(self._app, SQLAlchemyUserDatastore(db, self._user, role))

    def make(self, number: int) -> list[str]:
        factory: Any = self._security.totp_factory
        with self._app.app_context():
            self._db.create_all()
            sealed = [factory.generate_totp_secret() for _ in range(number)]
            for n, secret in enumerate(sealed):
                row = {"email": f"ada{n}@example.com", "password": "!", "active": True, "tf_totp_secret": secret}
                row |= {"fs_uniquifier": secrets.token_hex(16), "tf_primary_method": "authenticator"}
                self._db.session.add(self._user(**row))
            self._db.session.commit()
            return [str(factory.get_totp_b32_key(secret)) for secret in sealed]

    def found(self) -> Any:
        with self._app.app_context():
            return self._db.session.scalars(self._db.select(self._user.id).order_by(self._user.id)).all()

    def verify(self, user: int, code: str) -> bool:
        """Load the user as for a request, verify as its form does, and commit as its view does."""
        factory: Any = self._security.totp_factory
        window = self._app.config["SECURITY_TWO_FACTOR_AUTHENTICATOR_VALIDITY"]
        with self._app.app_context():
            found = self._db.session.get(self._user, self.users[user])
            is_good = factory.verify_totp(token=code, totp_secret=found.tf_totp_secret, user=found, window=window)
            self._db.session.commit()
            return bool(is_good)


def serve(key: str, url: str) -> None:
    """Answer until nobody asks any more."""
    # A framework that prints something must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    now = time.time()
    time.time = lambda: now
    peers = tomllib.loads(Path(__file__).with_name("peers.toml").read_text(encoding="utf-8"))["peers"]
    (about,) = (peer for peer in peers if peer["key"] == key)
    peer = globals()[about["program"]](url, about["settings"])
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        now = order.pop("now", now)
        print(json.dumps(getattr(peer, order.pop("do"))(**order)), file=answers, flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
