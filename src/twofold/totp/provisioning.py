"""How a secret reaches the authenticator app: the otpauth URI and its QR code. Pure."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import segno

from twofold.confidential import Confidential
from twofold.totp.algorithm import Algorithm, Parameters

if TYPE_CHECKING:
    from datetime import datetime

# A QR code of level L holds 2953 bytes; issuer, parameters and the longest secret leave so many for the account.
_LONGEST_LABEL = 600
# Past so many characters a picture is too dense for old cameras: what is said twice is left out, and so is the
# redundancy that helps to read a picture on paper, which no screen needs.
_DENSE = 400
# The modules around the picture that scanners ask for.
_QUIET = 4
_ZWNJ, _ZWJ = "\u200c", "\u200d"


def base32(secret: bytes) -> str:
    """A secret as apps take it by hand: upper-case base32 without padding (Key URI Format)."""
    return base64.b32encode(secret).decode().rstrip("=")


def label(text: str, ending: str = "") -> str:
    """An account name as the label of a URI can carry it: one line, no colon, and short enough for a QR code.

    `ending` stands at its end, however long the name. Raises TypeError for what is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"account_name is text, not {type(text).__name__}.")
    line = "".join(map(_in_a_label, text)).strip()[: 254 - len(ending)].rstrip()
    while line and len(quote(line + ending, safe="")) > _LONGEST_LABEL:
        line = line[:-1]
    return (line + ending).strip()


def _in_a_label(character: str) -> str:
    """White space of any script as a space, joiners as they are, and nothing of what else is not seen."""
    if character == ":" or character.isspace():
        return " "
    return character if character.isprintable() or character in {_ZWNJ, _ZWJ} else ""


def uri(secret: bytes, *, issuer: str, account: str, parameters: Parameters) -> str:
    """The otpauth URI of an account that is called so. Spaces are `%20`, never `+`.

    The issuer stands in the query and in the label, equal; in the query alone where the URI would become too long for a
    picture that every camera reads. An account without a name is called like the issuer. Parameters are named only
    where they differ from what every app assumes, SHA1, 6 digits and 30 seconds.
    """
    query = f"secret={base32(secret)}&issuer={quote(issuer, safe='')}"
    if parameters != Parameters():
        query += f"&algorithm={parameters.algorithm}&digits={parameters.digits}&period={parameters.period}"
    if not (name := label(account)):
        return f"otpauth://totp/{quote(issuer, safe='')}?{query}"
    whole = f"otpauth://totp/{quote(issuer, safe='')}:{quote(name, safe='')}?{query}"
    return whole if len(whole) <= _DENSE else f"otpauth://totp/{quote(name, safe='')}?{query}"


@dataclass(frozen=True, slots=True)
class Enrollment(Confidential):
    """A secret that waits for confirmation until `expires_at`. Show it to its owner and to nobody else.

    Whoever types it by hand has to choose `algorithm`, `digits` and `period` (in seconds), too. `label` is what the app
    calls the account; that of a replacement tells it from the one in force.
    """

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    expires_at: datetime
    label: str = ""
    algorithm: Algorithm = "SHA1"
    digits: int = 6
    period: int = 30

    @property
    def qr_modules(self) -> int:
        """How many modules each side of the QR code has, with its quiet zone: give each three pixels at least."""
        return int(self._qr().symbol_size(border=_QUIET)[0])

    def qr_svg(self) -> str:
        """The QR code as an SVG element to put into a page, dark on light, with its quiet zone.

        It has no size of its own; the unit of its viewBox is a module.
        """
        drawing = io.BytesIO()
        self._qr().save(
            drawing, kind="svg", border=_QUIET, light="#fff", xmldecl=False, svgns=True, nl=False, omitsize=True
        )
        return drawing.getvalue().decode()

    def qr_png(self, *, scale: int = 6) -> bytes:
        """The QR code as a PNG image."""
        image = io.BytesIO()
        self._qr().save(image, kind="png", scale=scale, border=_QUIET)
        return image.getvalue()

    def _qr(self) -> segno.QRCode:
        return segno.make_qr(self.uri, error="m" if len(self.uri) <= _DENSE else "l")
