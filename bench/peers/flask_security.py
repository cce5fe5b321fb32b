"""Flask-Security-Too: what its form does with a code of an authenticator app, as shipped."""

# mypy: disable-error-code="import-not-found,import-untyped"
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from bench.peers.line import Peer, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

_WALLET = {"1": "a key of the benchmark, which seals nothing of value"}


class FlaskSecurity(Peer):
    """Users with a sealed secret in their row. As shipped, a match is written nowhere."""

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
            SECURITY_TOTP_SECRETS=_WALLET,
            SECURITY_TOTP_ISSUER="Example",
            SQLALCHEMY_DATABASE_URI=url.replace("postgresql://", "postgresql+psycopg://", 1),
        )
        self._db: Any = SQLAlchemy(app)
        fsqla_v2.FsModels.set_db_info(self._db)

        named = {"__module__": __name__}
        role = type("Role", (self._db.Model, fsqla_v2.FsRoleMixin), named)
        self._user: Any = type("User", (self._db.Model, fsqla_v2.FsUserMixin), named)
        self._app = app
        self._security: Any = Security(app, SQLAlchemyUserDatastore(self._db, self._user, role))
        self._ids: list[int] = []
        compare = TOTP.match

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.compared += 1
            return compare(*args, **kwargs)

        TOTP.match = counting

    def versions(self) -> Sequence[str]:
        """The packages whose versions tell what was measured."""
        return ("flask-security-too", "flask", "libpass", "sqlalchemy", "psycopg")

    def make(self, number: int) -> list[str]:
        """Make the tables and so many users, each with a secret."""
        factory = self._security.totp_factory
        with self._app.app_context():
            self._db.create_all()
            sealed = [factory.generate_totp_secret() for _ in range(number)]
            for n, secret in enumerate(sealed):
                row = {"email": f"ada{n}@example.com", "password": "!", "active": True}
                row |= {"fs_uniquifier": secrets.token_hex(16), "tf_primary_method": "authenticator"}
                self._db.session.add(self._user(**row, tf_totp_secret=secret))
            self._db.session.commit()
            return [str(factory.get_totp_b32_key(secret)) for secret in sealed]

    def open(self) -> None:
        """Find the users."""
        with self._app.app_context():
            query = self._db.select(self._user.id).order_by(self._user.id)
            self._ids = list(self._db.session.execute(query).scalars())

    def verify(self, user: int, code: str) -> bool:
        """Load the user as for a request, verify as its form does, and commit as its view does."""
        with self._app.app_context():
            found = self._db.session.get(self._user, self._ids[user])
            is_good = self._security.totp_factory.verify_totp(
                token=code,
                totp_secret=found.tf_totp_secret,
                user=found,
                window=self._app.config["SECURITY_TWO_FACTOR_AUTHENTICATOR_VALIDITY"],
            )
            self._db.session.commit()
            return bool(is_good)


if __name__ == "__main__":
    serve(FlaskSecurity)
