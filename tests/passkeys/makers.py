"""Makers of authenticators: roots that are made for a test, and what their certificates say, or lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "ee882879-721c-4913-9775-3dfcce97072a"
OTHER_MODEL = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
_NAMES_THE_MODEL = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
_BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
_ENDS = datetime(2090, 1, 1, tzinfo=UTC)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Maker:
    """Whoever has a key and a certificate that may issue others: a root, or one below it."""

    name: str = "A maker"
    above: Maker | None = None
    ends: datetime = _ENDS
    is_authority: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    def __post_init__(self) -> None:
        issuer = self.above or self
        made = _begun(self.name, issuer.name, self.key.public_key(), self.ends)
        made = made.add_extension(x509.BasicConstraints(ca=self.is_authority, path_length=None), critical=True)
        self.certificate = made.sign(issuer.key, SHA256())

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def roots(self, folder: Path) -> Path:
        """A file with this certificate alone, as TWOFOLD_PASSKEY_ROOTS names it."""
        file = folder / f"{self.name}.pem"
        file.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return file

    def attests(self, **lies: Any) -> dict[str, Any]:
        """What `VirtualPasskey.register` is given, so that this maker vouches for a passkey of MODEL.

        The certificate says something else by `model` (None: nothing, bytes: as they are), `is_critical`, `unit`,
        `is_authority`, `ends` or `public_key`, and `beside` are the certificates between it and the root.
        """
        key = new_key()
        made = _begun(
            "A batch", self.name, lies.get("public_key", key.public_key()), lies.get("ends", _ENDS), lies.get("unit")
        )
        if (ca := lies.get("is_authority", False)) is not None:
            made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if (model := lies.get("model", MODEL)) is not None:
            value = model if isinstance(model, bytes) else b"\x04\x10" + UUID(model).bytes
            named = x509.UnrecognizedExtension(_NAMES_THE_MODEL, value)
            made = made.add_extension(named, critical=lies.get("is_critical", False))
        leaf = made.sign(self.key, SHA256()).public_bytes(Encoding.DER)
        return {"attested_by": key, "certificates": [leaf, *lies.get("beside", ())]}


def _begun(name: str, issuer: str, key: Any, ends: datetime, unit: str | None = None) -> x509.CertificateBuilder:
    begun = x509.CertificateBuilder(_named(issuer, None), _named(name, unit), key, x509.random_serial_number())
    return begun.not_valid_before(_BEGAN).not_valid_after(ends)


def _named(name: str, unit: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if name == "A batch":
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit or "Authenticator Attestation"))
    return x509.Name(parts)


def key_of(origin: str, model: str = MODEL, **bent: Any) -> VirtualPasskey:
    """A security key of this model."""
    return VirtualPasskey(origin, aaguid=UUID(model).bytes, **bent)
