"""The URI that apps read, and the QR code that carries it."""

from __future__ import annotations

import base64
import io
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pyotp
import pytest
import resvg_py
import segno
import zxingcpp
from PIL import Image
from pyotp.totp import TOTP

from twofold.totp.algorithm import Parameters, generate_secret
from twofold.totp.provisioning import Enrollment, base32, label, uri


@pytest.mark.requirement("R111")
@pytest.mark.parametrize(
    ("issuer", "account"),
    [("Twofold", "ada@example.com"), ("Big Co & Söhne", "a+b@example.com"), ("A/B?C#D", "ada lovelace%20=&")],
)
def test_an_app_reads_back_what_was_written(issuer: str, account: str) -> None:
    secret = generate_secret()
    text = uri(secret, issuer=issuer, account=account, parameters=Parameters())
    parsed = pyotp.parse_uri(text)
    assert isinstance(parsed, TOTP)
    assert (parsed.secret, parsed.issuer, parsed.name) == (base32(secret), issuer, account)
    assert "+" not in text
    assert unquote(urlsplit(text).path).startswith(f"/{issuer}:")
    assert parse_qs(urlsplit(text).query)["issuer"] == [issuer]


@pytest.mark.requirement("R112")
def test_a_secret_is_upper_case_base32_without_padding() -> None:
    for algorithm in ("SHA1", "SHA256", "SHA512"):
        assert re.fullmatch("[A-Z2-7]+", base32(generate_secret(algorithm)))


@pytest.mark.requirement("R111")
def test_a_colon_in_the_account_does_not_become_another_issuer() -> None:
    text = uri(generate_secret(), issuer="Twofold", account="evil:ada", parameters=Parameters())
    assert pyotp.parse_uri(text).issuer == "Twofold"
    assert unquote(urlsplit(text).path).count(":") == 1


@pytest.mark.requirement("R113")
def test_unusual_parameters_are_named_and_usual_ones_are_not() -> None:
    secret = generate_secret("SHA256")
    unusual = uri(secret, issuer="Twofold", account="ada", parameters=Parameters("SHA256", 8, 60))
    assert parse_qs(urlsplit(unusual).query) | {"algorithm": ["SHA256"], "digits": ["8"], "period": ["60"]} == parse_qs(
        urlsplit(unusual).query
    )
    assert "digits" not in uri(secret, issuer="Twofold", account="ada", parameters=Parameters())


def test_both_pictures_decode_to_the_uri_and_nothing_prints_it() -> None:
    text = uri(generate_secret(), issuer="Twofold", account="ada@example.com", parameters=Parameters())
    enrollment = Enrollment("SECRET", text, datetime.now(UTC))
    svg = bytes(resvg_py.svg_to_bytes(svg_string=enrollment.qr_svg(), width=600, background="white"))
    for picture in (enrollment.qr_png(), svg):
        with Image.open(io.BytesIO(picture)) as image:
            assert [found.text for found in zxingcpp.read_barcodes(image.convert("L"))] == [text]
    assert "SECRET" not in repr(enrollment)
    assert "otpauth" not in repr(enrollment)


def test_the_uri_is_escaped_as_every_app_reads_it() -> None:
    secret = base64.b32decode("A" * 31 + "X")
    text = uri(secret, issuer="A/B", account="c/d e:f", parameters=Parameters())
    assert text == f"otpauth://totp/A%2FB:c%2Fd%20e%20f?secret={'A' * 31}X&issuer=A%2FB"


@pytest.mark.parametrize("nothing", ["", "   ", ":", " : ", "\u3000", "\u202e", "\u200b"])
def test_an_account_without_a_name_is_called_like_the_issuer(nothing: str) -> None:
    text = uri(generate_secret(), issuer="Big Co & Söhne", account=nothing, parameters=Parameters())
    parsed = pyotp.parse_uri(text)
    assert (parsed.name, parsed.issuer) == ("Big Co & Söhne", "Big Co & Söhne")
    assert ":" not in unquote(urlsplit(text).path)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("山田\u3000太郎", "山田 太郎"),
        ("Jean\u00a0Dupont", "Jean Dupont"),
        ("ada\nlovelace", "ada lovelace"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("ada\u202emoc.elpmaxe@\u202c", "adamoc.elpmaxe@"),
        ("\u2066ada\u2069\u200e\u200f", "ada"),
        ("ada\u200b\ufeff\x00\x1b@example.com", "ada@example.com"),
    ],
)
def test_a_name_of_any_script_stays_what_it_is_and_no_mark_turns_it_round(name: str, shown: str) -> None:
    assert label(name) == shown


@pytest.mark.parametrize("letter", ["x", "Ж", "山", "ไ"])
@pytest.mark.parametrize("parameters", [Parameters(), Parameters("SHA512", 7, 15)])
def test_no_name_makes_the_picture_too_dense(letter: str, parameters: Parameters) -> None:
    secret = generate_secret(parameters.algorithm)
    issuer, account = letter * 64, "ada@example.com"
    text = uri(secret, issuer=issuer, account=account, parameters=parameters)
    parsed = pyotp.parse_uri(text)
    # The issuer is there once where twice would be too much.
    assert (parsed.secret, parsed.issuer, parsed.name) == (base32(secret), issuer, account)
    assert text.count(quote(issuer, safe="")) == (2 if letter.isascii() else 1)
    picture = Enrollment("SECRET", text, datetime.now(UTC))
    assert picture.qr_modules <= {"x": 77, "Ж": 93, "山": 109, "ไ": 109}[letter]
    with Image.open(io.BytesIO(picture.qr_png(scale=3))) as image:
        # Among so many squares the decoder may find a bar code, too, if it is let.
        found = zxingcpp.read_barcodes(
            image.convert("L"), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
        )
        assert [one.text for one in found] == [text]


def test_a_label_is_as_long_as_a_picture_can_hold() -> None:
    name: Any = b"ada@example.com"
    with pytest.raises(TypeError, match="not bytes"):
        label(name)
    assert label("x" * 255) == "x" * 254
    assert label("x" * 255, " (2026-11-22)") == "x" * 241 + " (2026-11-22)"
    assert label("é" * 254, " (2026-11-22)").endswith("é (2026-11-22)")
    assert label("é" * 254) == "é" * 100  # Each takes six of 600 characters.
    assert label("aé" * 127) == "aé" * 85 + "a"


def test_the_pictures_have_a_quiet_zone_of_four_modules() -> None:
    enrollment = Enrollment("SECRET", "otpauth://totp/A:b?secret=" + "A" * 32 + "&issuer=A", datetime.now(UTC))
    side = segno.make_qr(enrollment.uri, error="m").symbol_size(border=4)[0]
    svg = enrollment.qr_svg()
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg" ')
    assert svg.endswith("</svg>")
    assert ("#fff" in svg, " width=" in svg, " height=" in svg) == (True, False, False)
    assert f'viewBox="0 0 {side} {side}"' in svg
    assert enrollment.qr_modules == side
    for scale, picture in ((6, enrollment.qr_png()), (2, enrollment.qr_png(scale=2))):
        with Image.open(io.BytesIO(picture)) as image:
            assert image.size == (scale * side, scale * side)
