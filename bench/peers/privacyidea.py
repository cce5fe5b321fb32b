"""privacyIDEA: `check_serial_pass` for a TOTP token, without its web API and the audit that it signs."""

# mypy: disable-error-code="import-not-found,import-untyped"
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.peers.line import Peer, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENCRYPTION_KEY_BYTES = 96


class PrivacyIdea(Peer):
    """One TOTP token without a PIN for each user, with the defaults. BENCH_FOLDER holds its key file."""

    def __init__(self, url: str) -> None:
        folder = Path(os.environ["BENCH_FOLDER"])
        self._key_file = folder / "enckey"
        config = folder / f"{os.getpid()}.cfg"
        config.write_text(
            f"SQLALCHEMY_DATABASE_URI = {url.replace('postgresql://', 'postgresql+psycopg://', 1)!r}\n"
            f"SECRET_KEY = {secrets.token_hex(32)!r}\n"
            f"PI_PEPPER = {secrets.token_hex(16)!r}\n"
            f"PI_ENCFILE = {str(self._key_file)!r}\n"
            f"PI_LOGFILE = {str(folder / 'privacyidea.log')!r}\n"
            "PI_LOGLEVEL = 40\n"
        )
        from privacyidea.app import create_app

        self._app: Any = create_app(config_name="production", config_file=str(config), silent=True)
        self._serials: list[str] = []
        from privacyidea.lib.tokens.HMAC import HmacOtp

        compare = HmacOtp.checkOtp

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.compared += 1
            return compare(*args, **kwargs)

        HmacOtp.checkOtp = counting

    def versions(self) -> Sequence[str]:
        """The packages whose versions tell what was measured."""
        return ("privacyidea", "flask", "sqlalchemy", "psycopg")

    def make(self, number: int) -> list[str]:
        """Make the tables and so many tokens."""
        from privacyidea.lib.token import init_token
        from privacyidea.models import db

        self._key_file.write_bytes(secrets.token_bytes(_ENCRYPTION_KEY_BYTES))
        keys = [secrets.token_bytes(20) for _ in range(number)]
        with self._app.app_context():
            db.create_all()
            for n, key in enumerate(keys):
                init_token({"type": "totp", "serial": f"TOTP{n:06}", "otpkey": key.hex()})
        return [base64.b32encode(key).decode() for key in keys]

    def open(self) -> None:
        """Find the tokens."""
        from privacyidea.models import Token, db

        with self._app.app_context():
            query = db.select(Token.serial).order_by(Token.serial)
            self._serials = list(db.session.execute(query).scalars())

    def verify(self, user: int, code: str) -> bool:
        """Check the code in the context of a request."""
        from privacyidea.lib.token import check_serial_pass

        with self._app.test_request_context():
            is_good, _ = check_serial_pass(self._serials[user], code)
            return bool(is_good)

    def counted(self, users: Sequence[int]) -> list[int] | None:
        """The failures in the rows of the tokens."""
        from privacyidea.models import Token, db

        with self._app.app_context():
            rows = dict(db.session.execute(db.select(Token.serial, Token.failcount)).all())
        return [rows[self._serials[user]] for user in users]


if __name__ == "__main__":
    serve(PrivacyIdea)
