"""An authenticator app: it shows the code of the moment, as RFC 6238 has it, from what its owner scanned."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from twofold.testing.clock import Clock
from twofold.totp.algorithm import Parameters, code_at, named, step_at

if TYPE_CHECKING:
    from collections.abc import Callable


class Phone:
    """The app that has scanned an `otpauth://` URI, or was given a secret in base32 by hand.

    Without a clock it shows the codes of now.
    """

    def __init__(self, scanned: str, clock: Callable[[], datetime] | None = None) -> None:
        self.uri_or_secret = scanned
        self.clock = clock or (lambda: datetime.now(UTC))
        self._secret, self.parameters = _read(scanned)
        self._shown = -1

    def code(self, *, again: bool = False) -> str:
        """Give the code of the clock's moment, and never that of a step twice, since Twofold accepts none twice.

        Where that code was given already, a `Clock` is turned to the next step; of a clock that nobody can turn the
        next code comes early, which is accepted as well, once. `again` gives the last code once more.

        Raises RuntimeError where a clock that nobody can turn has no other code yet.
        """
        if again:
            return self.code_at(max(self._shown, 0)) if self._shown >= 0 else self.code()
        step = self._step()
        if step <= self._shown:
            if isinstance(self.clock, Clock):
                beginning = datetime.fromtimestamp((self._shown + 1) * self.parameters.period, UTC)
                self.clock.forward(beginning - self.clock.now)
                step = self._step()
            elif step == self._shown:
                step += 1
            else:
                raise RuntimeError("The codes of now were given; wait for the next, or use twofold.testing.Clock.")
        self._shown = step
        return self.code_at(step)

    def wrong_code(self) -> str:
        """Give a code that is wrong now, and in the minutes around."""
        step = self._step()
        right = {self.code_at(step + more) for more in range(-5, 6)}
        digits = self.parameters.digits
        return next(code for code in (f"{number:0{digits}}" for number in range(len(right) + 1)) if code not in right)

    def code_at(self, step: int) -> str:
        """Give the code of a time step, counted from 1970, whatever was given before."""
        return code_at(self._secret, step, self.parameters)

    def _step(self) -> int:
        return step_at(self.clock().timestamp(), self.parameters)


def _read(scanned: str) -> tuple[bytes, Parameters]:
    """Read what was scanned or typed. Raises ValueError for what no app takes; no secret is in the message."""
    parameters = Parameters()
    secret = scanned
    if scanned.startswith("otpauth:"):
        address = urlsplit(scanned)
        said = {name: values[0] for name, values in parse_qs(address.query).items()}
        algorithm = named(said.get("algorithm", "SHA1"))
        if address.netloc != "totp" or algorithm is None:
            raise ValueError("This is no otpauth URI of TOTP with an algorithm that apps know.")
        parameters = Parameters(algorithm, int(said.get("digits", "6")), int(said.get("period", "30")))
        secret = said.get("secret", "")
    text = "".join(secret.split()).rstrip("=").upper()
    try:
        key = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("There is no secret in base32: give enrollment.uri or enrollment.secret.")
    return key, parameters
