"""How a secret reaches the authenticator app: the otpauth URI and its QR code. Pure."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import segno

from twofold.confidential import Confidential

if TYPE_CHECKING:
    from datetime import datetime

    from twofold.totp.algorithm import Parameters

# A QR code of level M holds 2331 bytes; issuer, parameters and the longest secret leave so many for the account.
_LONGEST_LABEL = 600


def base32(secret: bytes) -> str:
    """A secret as apps take it by hand: upper-case base32 without padding (Key URI Format)."""
    return base64.b32encode(secret).decode().rstrip("=")


def label(text: str) -> str:
    """An account name as the label of a URI can carry it: one line, no colon, and short enough for a QR code.

    Raises TypeError for what is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"account_name is text, not {type(text).__name__}.")
    line = "".join(character for character in text.replace(":", " ") if character.isprintable()).strip()[:254]
    while len(quote(line, safe="")) > _LONGEST_LABEL:
        line = line[:-1]
    return line


def uri(secret: bytes, *, issuer: str, account: str, parameters: Parameters) -> str:
    """The otpauth URI. Spaces are `%20`, never `+`; the issuer stands in the label and in the query, equal.

    Parameters are named only where they differ from what every app assumes, SHA1, 6 digits and 30 seconds.
    """
    query = f"secret={base32(secret)}&issuer={quote(issuer, safe='')}"
    if (parameters.algorithm, parameters.digits, parameters.period) != ("SHA1", 6, 30):
        query += f"&algorithm={parameters.algorithm}&digits={parameters.digits}&period={parameters.period}"
    return f"otpauth://totp/{quote(issuer, safe='')}:{quote(label(account), safe='')}?{query}"


@dataclass(frozen=True, slots=True)
class Enrollment(Confidential):
    """A secret that waits for confirmation until `expires_at`. Show it to its owner and to nobody else."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    expires_at: datetime

    def qr_svg(self, *, scale: int = 4) -> str:
        """The QR code as an SVG element to put into a page, dark on light, with its quiet zone."""
        drawing = io.BytesIO()
        self._qr().save(
            drawing, kind="svg", scale=scale, border=4, light="#fff", xmldecl=False, svgns=True, nl=False, omitsize=True
        )
        return drawing.getvalue().decode()

    def qr_png(self, *, scale: int = 6) -> bytes:
        """The QR code as a PNG image."""
        image = io.BytesIO()
        self._qr().save(image, kind="png", scale=scale, border=4)
        return image.getvalue()

    def _qr(self) -> segno.QRCode:
        return segno.make_qr(self.uri, error="m")
