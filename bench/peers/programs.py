"""The programs of the peers, each in an environment and a process of its own: `bench.peers.programs NAME URL`.

Orders come in as JSON, a line each, and answers go out so. Nothing but the standard library is imported before the
clock is set.
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
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Peer:
    """A library that verifies codes of an authenticator app, with users of its own, who are numbered from 0.

    `make` makes tables and users and returns the secrets in base32; `open` finds the users whom another process has
    made; `verify` says whether a code is good, once everything is written that keeps it from being good again.
    """

    compared = 0
    make: Any
    open: Any
    verify: Any

    def count(self, owner: Any, name: str) -> None:
        """Count the codes that are compared with the right ones, as against those that are refused unseen."""
        compare = getattr(owner, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.compared += 1
            return compare(*args, **kwargs)

        setattr(owner, name, counting)

    def ready(self, users: Sequence[int]) -> None:
        """Do what an application does before a code is typed; it is not measured."""
        del users

    def counted(self, users: Sequence[int]) -> list[int] | None:
        """Return how many wrong codes are on record for each user; None where nothing counts them."""
        del users
        return None

    def versions(self, packages: Sequence[str]) -> dict[str, str]:
        """Return what was measured."""
        return {name: version(name) for name in packages}

    def answer(self, answers: Sequence[tuple[int, str]], begin: float = 0.0, pause: float = 0.0) -> dict[str, Any]:
        """Verify one after the other; where a race begins, each at the moment at which all others do."""
        accepted, failed = list[int](), list[str]()
        compared, cpu, began = self.compared, time.process_time(), time.perf_counter()
        for number, (user, code) in enumerate(answers):
            if begin:
                time.sleep(max(0.0, begin + number * pause - time.monotonic()))
            try:
                accepted += [user] if self.verify(user, code) else []
            except Exception as error:  # noqa: BLE001 - in a race some peers fail, and the driver decides what that means.
                failed.append(f"{type(error).__name__}: {error}")
        taken = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        return taken | {"accepted": accepted, "failed": failed, "compared": self.compared - compared}


class Twofold(Peer):
    """`MFA.verify` with the defaults, and challenges that were issued beforehand. The keys are in the environment."""

    def __init__(self, url: str) -> None:
        import sqlalchemy as sa

        from bench import population
        from twofold import MFA, Settings

        self._engine, self._run = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg")), sa.text
        made: dict[str, Any] = {"_env_file": None}
        self._clock, self._own = lambda: datetime.fromtimestamp(time.time(), UTC), population
        self._mfa = MFA(self._engine, Settings(**made), clock=self._clock)
        self._users, self._challenges = list[int](), dict[int, str]()

    def make(self, number: int) -> list[str]:
        users = self._own.add_users(self._engine, number)
        return [person.app.secret for person in self._own.enrol(self._mfa, self._clock, users)]

    def open(self) -> None:
        with self._engine.connect() as connection:
            self._users = list(connection.execute(self._run("SELECT id FROM users ORDER BY id")).scalars())

    def ready(self, users: Sequence[int]) -> None:
        for user in users:
            asked: Any = self._mfa.challenge(self._users[user], request=self._own.BROWSER)
            self._challenges[user] = asked.token

    def verify(self, user: int, code: str) -> bool:
        from twofold import Reason, Rejected

        try:
            self._mfa.verify(self._challenges[user], code, request=self._own.BROWSER)
        except Rejected as rejected:
            self.compared += rejected.reason in {Reason.WRONG_CODE, Reason.CODE_ALREADY_USED}
            return False
        self.compared += 1
        return True

    def counted(self, users: Sequence[int]) -> list[int] | None:
        return [self._mfa.status(self._users[user]).failed_attempts for user in users]


class _Django(Peer):
    """A Django project of no more than a database, whose connections are kept open."""

    def __init__(self, url: str, *applications: str, **settings: Any) -> None:
        import django
        from django.conf import settings as configured

        parts = urlsplit(url)
        database = {"ENGINE": "django.db.backends.postgresql", "NAME": parts.path.lstrip("/"), "CONN_MAX_AGE": None}
        configured.configure(
            DATABASES={"default": database | {"USER": parts.username, "HOST": parts.hostname, "PORT": parts.port}},
            INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *applications],
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            SECRET_KEY=secrets.token_hex(32),
            USE_TZ=True,
            **settings,
        )
        django.setup()
        from django.contrib.auth.models import User

        self._users, self._model = list[Any](), User

    def make_users(self, number: int) -> list[Any]:
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
        return list(self._model.objects.bulk_create(self._model(username=f"ada{n}@example.com") for n in range(number)))


class DjangoOtp(_Django):
    """`django_otp.verify_token()` with the defaults, for a TOTP device of each user, its row locked in a transaction.

    Its wrong codes are throttled by real time.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, "django_otp", "django_otp.plugins.otp_totp")
        from django_otp import verify_token
        from django_otp.oath import TOTP
        from django_otp.plugins.otp_totp.models import TOTPDevice

        self._verify_token, self._devices = verify_token, TOTPDevice.objects
        self.count(TOTP, "verify")

    def make(self, number: int) -> list[str]:
        made = self._devices.bulk_create(self._devices.model(user=one, name="app") for one in self.make_users(number))
        return [base64.b32encode(device.bin_key).decode() for device in made]

    def open(self) -> None:
        self._users = list(self._devices.select_related("user").order_by("id"))

    def verify(self, user: int, code: str) -> bool:
        device = self._users[user]
        return self._verify_token(device.user, device.persistent_id, code) is not None

    def counted(self, users: Sequence[int]) -> list[int] | None:
        self.open()
        return [self._users[user].throttling_failure_count for user in users]


class AllauthShared(_Django):
    """The TOTP authenticator of `allauth.mfa`, verified as its form does it, without the form and its rate limit.

    What marks a code as used is the cache of the project, here one in the database. Past its default of 300 marks it
    throws away marks that are still needed.
    """

    cache = ("db.DatabaseCache", "cache")

    def __init__(self, url: str) -> None:
        backend, location = self.cache
        cache = {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": location}
        cache["OPTIONS"] = {"MAX_ENTRIES": 100_000}  # type: ignore[assignment]
        middleware = ["allauth.account.middleware.AccountMiddleware"]
        super().__init__(
            url, "allauth", "allauth.account", "allauth.mfa", CACHES={"default": cache}, MIDDLEWARE=middleware
        )
        from allauth.mfa.models import Authenticator
        from allauth.mfa.totp.internal import auth
        from django.core.cache import cache as marks

        self._authenticators, self._auth, self._marks = Authenticator, auth, marks
        self.count(auth, "validate_totp_code")

    def make(self, number: int) -> list[str]:
        users, made = self.make_users(number), [self._auth.generate_totp_secret() for _ in range(number)]
        for user, secret in zip(users, made, strict=True):
            self._auth.TOTP.activate(user, secret)
        return made

    def open(self) -> None:
        self._users = list(self._model.objects.order_by("id"))

    def ready(self, users: Sequence[int]) -> None:
        """Forget the marks: the clock was moved past their end, and the cache asks another clock."""
        del users
        self._marks.clear()

    def verify(self, user: int, code: str) -> bool:
        webauthn = self._authenticators.Type.WEBAUTHN
        for authenticator in self._authenticators.objects.filter(user=self._users[user]).exclude(type=webauthn):
            if authenticator.wrap().validate_code(code):
                authenticator.record_usage()
                return True
        return False


class AllauthLocal(AllauthShared):
    """The same with Django's default, a cache in the process."""

    cache = ("locmem.LocMemCache", "")


class FlaskSecurity(Peer):
    """Flask-Security-Too: users with a sealed secret in their row. As shipped, a match is written nowhere."""

    def __init__(self, url: str) -> None:
        from flask import Flask
        from flask_security import Security, SQLAlchemyUserDatastore
        from flask_security.models import fsqla_v2
        from flask_sqlalchemy import SQLAlchemy
        from passlib.totp import TOTP

        app = Flask(__name__)
        app.config.update(
            SECRET_KEY=secrets.token_hex(32),
            SECURITY_PASSWORD_SALT=secrets.token_hex(16),
            SECURITY_TWO_FACTOR=True,
            SECURITY_TOTP_SECRETS={"1": "a key of the benchmark, which seals nothing of value"},
            SECURITY_TOTP_ISSUER="Example",
            SQLALCHEMY_DATABASE_URI=url.replace("postgresql://", "postgresql+psycopg://", 1),
        )
        db: Any = SQLAlchemy(app)
        fsqla_v2.FsModels.set_db_info(db)
        role = type("Role", (db.Model, fsqla_v2.FsRoleMixin), {"__module__": __name__})
        self._user: Any = type("User", (db.Model, fsqla_v2.FsUserMixin), {"__module__": __name__})
        self._app, self._db, self._ids = app, db, list[int]()
        self._factory: Any = Security(app, SQLAlchemyUserDatastore(db, self._user, role)).totp_factory
        self.count(TOTP, "match")

    def make(self, number: int) -> list[str]:
        with self._app.app_context():
            self._db.create_all()
            sealed = [self._factory.generate_totp_secret() for _ in range(number)]
            for n, secret in enumerate(sealed):
                row = {"email": f"ada{n}@example.com", "password": "!", "active": True, "tf_totp_secret": secret}
                row |= {"fs_uniquifier": secrets.token_hex(16), "tf_primary_method": "authenticator"}
                self._db.session.add(self._user(**row))
            self._db.session.commit()
            return [str(self._factory.get_totp_b32_key(secret)) for secret in sealed]

    def open(self) -> None:
        with self._app.app_context():
            query = self._db.select(self._user.id).order_by(self._user.id)
            self._ids = list(self._db.session.execute(query).scalars())

    def verify(self, user: int, code: str) -> bool:
        """Load the user as for a request, verify as its form does, and commit as its view does."""
        window = self._app.config["SECURITY_TWO_FACTOR_AUTHENTICATOR_VALIDITY"]
        with self._app.app_context():
            found = self._db.session.get(self._user, self._ids[user])
            secret = found.tf_totp_secret
            is_good = self._factory.verify_totp(token=code, totp_secret=secret, user=found, window=window)
            self._db.session.commit()
            return bool(is_good)


class PrivacyIdea(Peer):
    """privacyIDEA: `check_serial_pass` for a TOTP token without a PIN, without the web API and the audit that it signs.

    BENCH_FOLDER holds its key file.
    """

    def __init__(self, url: str) -> None:
        folder = Path(os.environ["BENCH_FOLDER"])
        config, self._key_file = folder / f"{os.getpid()}.cfg", folder / "enckey"
        values = {
            "SQLALCHEMY_DATABASE_URI": url.replace("postgresql://", "postgresql+psycopg://", 1),
            "SECRET_KEY": secrets.token_hex(32),
            "PI_PEPPER": secrets.token_hex(16),
            "PI_ENCFILE": str(self._key_file),
            "PI_LOGFILE": str(folder / "privacyidea.log"),
            "PI_LOGLEVEL": 40,
        }
        config.write_text("".join(f"{name} = {value!r}\n" for name, value in values.items()))
        from privacyidea.app import create_app
        from privacyidea.lib import token
        from privacyidea.lib.tokens.HMAC import HmacOtp
        from privacyidea.models import Token, db

        self._app: Any = create_app(config_name="production", config_file=str(config), silent=True)
        self._lib, self._db, self._token, self._serials = token, db, Token, list[str]()
        self.count(HmacOtp, "checkOtp")

    def make(self, number: int) -> list[str]:
        self._key_file.write_bytes(secrets.token_bytes(96))
        keys = [secrets.token_bytes(20) for _ in range(number)]
        with self._app.app_context():
            self._db.create_all()
            for n, key in enumerate(keys):
                self._lib.init_token({"type": "totp", "serial": f"TOTP{n:06}", "otpkey": key.hex()})
        return [base64.b32encode(key).decode() for key in keys]

    def open(self) -> None:
        with self._app.app_context():
            query = self._db.select(self._token.serial).order_by(self._token.serial)
            self._serials = list(self._db.session.execute(query).scalars())

    def verify(self, user: int, code: str) -> bool:
        with self._app.test_request_context():
            return bool(self._lib.check_serial_pass(self._serials[user], code)[0])

    def counted(self, users: Sequence[int]) -> list[int] | None:
        with self._app.app_context():
            query = self._db.select(self._token.serial, self._token.failcount)
            rows = dict(self._db.session.execute(query).all())
        return [rows[self._serials[user]] for user in users]


def serve(program: type[Any], url: str) -> None:
    """Answer until nobody asks any more."""
    # A framework that prints something must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    now = time.time()
    time.time = lambda: now
    peer = program(url)
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        now = order.pop("now", now)
        print(json.dumps(getattr(peer, order.pop("do"))(**order)), file=answers, flush=True)


if __name__ == "__main__":
    serve(globals()[sys.argv[1]], sys.argv[2])
