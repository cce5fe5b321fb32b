"""Root certificates: who is trusted to say of which model an authenticator is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path


def read(where: Path) -> tuple[bytes, ...]:
    """The roots in a file, or in every file of a folder, each in PEM (RFC 7468 §5). At least one.

    Raises ValueError for what cannot be read, for what is no certificate, and for one that another one has issued: a
    chain ends at a root alone.
    """
    try:
        is_folder = where.is_dir()
        files = sorted(one for one in where.iterdir() if one.is_file()) if is_folder else [where]
        texts = {file.name if is_folder else "it": file.read_bytes() for file in files}
    except OSError as error:
        raise ValueError(f"it cannot be read ({type(error).__name__})") from None
    roots = [root for name, text in texts.items() for root in _roots(name, text)]
    if not roots:
        raise ValueError("no certificate lies in this folder")
    return tuple(dict.fromkeys(roots))


def ended(roots: Iterable[bytes], now: datetime) -> list[datetime]:
    """When those of the roots, in PEM, ended that are over at this moment."""
    from cryptography import x509

    # Nothing else of them is read: not every name that a root has can be.
    ends = (x509.load_pem_x509_certificate(root).not_valid_after_utc for root in roots)
    return [end for end in ends if end < now]


def _roots(name: str, text: bytes) -> Iterator[bytes]:
    # Only whoever names roots pays for the import.
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        found = x509.load_pem_x509_certificates(text)
    except ValueError:
        raise ValueError(f"{name} holds no certificate in PEM") from None
    for certificate in found:
        try:
            certificate.verify_directly_issued_by(certificate)
        except Exception:  # noqa: BLE001 -- Another issuer, a broken signature, or an algorithm that nobody knows.
            raise ValueError(f"{name} holds a certificate that is no root") from None
        yield certificate.public_bytes(Encoding.PEM)
