"""Roots are read whole, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.passkeys.makers import Maker
from twofold import certificates

if TYPE_CHECKING:
    from pathlib import Path


def pem(maker: Maker) -> bytes:
    return maker.certificate.public_bytes(Encoding.PEM)


def test_a_file_holds_several_and_a_folder_several_files(tmp_path: Path) -> None:
    one, two, three = (Maker(f"Maker {number}") for number in range(3))
    file = tmp_path / "both.pem"
    file.write_bytes(b"Two makers\n" + pem(one) + b"\n# the other one\n" + pem(two))
    assert certificates.read(file) == (pem(one), pem(two))
    (tmp_path / "third.crt").write_bytes(pem(three) + pem(one))
    (tmp_path / "empty").mkdir()
    assert certificates.read(tmp_path) == (pem(one), pem(two), pem(three))


def test_what_is_no_root_is_named(tmp_path: Path) -> None:
    maker = Maker()
    file = tmp_path / "roots.pem"
    with pytest.raises(ValueError, match=r"^no certificate lies in this folder$"):
        certificates.read(tmp_path)
    with pytest.raises(ValueError, match=r"^it cannot be read \(FileNotFoundError\)$"):
        certificates.read(file)
    for text in (b"", b"nothing", maker.der, pem(maker)[:-40]):
        file.write_bytes(text)
        with pytest.raises(ValueError, match=r"^it holds no certificate in PEM$"):
            certificates.read(file)
    # The second one was issued by the first: no chain ends there.
    for below in (Maker("Below", above=maker), Maker(maker.name, above=maker)):
        file.write_bytes(pem(maker) + pem(below))
        with pytest.raises(ValueError, match=r"^roots\.pem holds a certificate that is no root$"):
            certificates.read(tmp_path)
