"""Which new passkeys are let in: of models on a list, and of makers who prove it (WebAuthn Level 3 §7.1, §8.2).

The library judges that a statement is signed, and that its chain ends at one of the roots. It lets in what makes no
statement, what vouches for itself, and a certificate that is of another model or of no authenticator at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from uuid import UUID

from twofold import certificates
from twofold.errors import ConfigurationError
from twofold.settings import parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twofold.settings import Settings

FORMAT: Final = "packed"
"""The one format that is taken as a proof: it signs all that an authenticator says of itself, `fido-u2f` does not."""

_MODEL: Final = "1.3.6.1.4.1.45724.1.1.4"
"""id-fido-gen-ce-aaguid: the extension of a certificate that names the model (§8.2.1)."""


class Policy(NamedTuple):
    """The models that are let in, any where there is none, and the roots that must vouch, nobody where there is none.

    A list without roots goes by what the browser says of the authenticator, which whoever holds the browser can change:
    it keeps honest people on the models of the list, and no liar out.
    """

    aaguids: frozenset[str]
    roots: tuple[bytes, ...]

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """Read it from the settings. Raises ConfigurationError where the roots do not read any more."""
        aaguids, where = frozenset(parts(settings.passkey_aaguids)), settings.passkey_roots
        if settings.passkey_attestation == "none":
            return cls(aaguids, ())
        try:
            if where is None:
                raise ValueError("it is not set")
            return cls(aaguids, certificates.read(where))
        except ValueError as error:
            raise ConfigurationError(f"TWOFOLD_PASSKEY_ROOTS is wrong: {error}.") from None

    @property
    def conveyance(self) -> Literal["direct", "none"]:
        """What browsers are asked for. Where nothing is, they take its model off what a security key says (§5.1.3)."""
        return "direct" if self.aaguids or self.roots else "none"

    def objection(self, attested: Mapping[str, Any], aaguid: str) -> str | None:
        """Why a registration that holds is not let in; None where it is.

        `attested` is the attestation object, whose chain was judged by these roots.
        """
        if self.roots:
            if attested["fmt"] != FORMAT:
                return "its maker does not vouch for it in a format that is taken"
            if not (chain := attested["attStmt"].get("x5c")):
                return "it vouches for itself alone"
            try:
                models = _models(chain)
            except Exception:  # noqa: BLE001 -- Whatever is raised over bytes of a stranger, they are no such thing.
                return "its certificate is none of an authenticator"
            # A root of several models has to say which (§8.2.1), and one of a single model need not.
            if any(model != aaguid for model in models) or (self.aaguids and not models):
                return "its certificate does not name its model"
        if self.aaguids and aaguid not in self.aaguids:
            return "its model is not on the list"
        return None


def _models(chain: Sequence[bytes]) -> list[str]:
    """The models that the first certificate names: one, or none. Raises ValueError for no authenticator's (§8.2.1)."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    leaf = x509.load_der_x509_certificate(chain[0])
    units = [unit.value for unit in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)]
    is_authority = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    if units != ["Authenticator Attestation"] or is_authority:
        raise ValueError("It is none of an authenticator.")
    named = [one.value.public_bytes() for one in leaf.extensions if one.oid.dotted_string == _MODEL]
    # An OCTET STRING of sixteen bytes.
    if any(value[:2] != b"\x04\x10" for value in named):
        raise ValueError("It names no model.")
    return [str(UUID(bytes=value[2:])) for value in named]
