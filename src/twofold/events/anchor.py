"""What a `pruned` line says of the lines that went: where they ended, and what later decisions need of them.

It stands in the chain like every other line, so nobody without the keys can write one. The newest one counts, since
each takes along what the one before it said. The lines that are left are always asked first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import sqlalchemy as sa

from twofold.errors import Tampered
from twofold.events.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twofold.account import Work
    from twofold.events.chain import Link
    from twofold.state import Account


class Anchor(NamedTuple):
    """The last event that went, with its MAC, and what the log said up to there.

    `codes` are the marks of the backup codes that were issued last and not spent; it is None where the log issued
    none, and then `spent` are the marks of those that were. `devices` are the fingerprints of the trusted ones.
    """

    through: int = 0
    mac: str | None = None
    codes: frozenset[str] | None = None
    spent: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()

    @classmethod
    def read(cls, details: str | None) -> Self:
        """What the details of a `pruned` line say. Raises Tampered where they do not read."""
        try:
            said = json.loads(details or "")
            return cls(
                int(said["through"]),
                said["mac"],
                frozenset(said["codes"].split()) if "codes" in said else None,
                frozenset(said.get("spent", "").split()),
                frozenset(said["devices"].split()),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Tampered from None

    def details(self) -> dict[str, Any]:
        """The same as details."""
        codes = {"spent": _text(self.spent)} if self.codes is None else {"codes": _text(self.codes)}
        return {"through": self.through, "mac": self.mac, "devices": _text(self.devices)} | codes


@dataclass(slots=True)
class Memory:
    """What lines say of codes and devices, heard from the oldest to the newest."""

    codes: set[str] | None
    spent: set[str]
    devices: set[str]
    # With its adoption every device of before is trusted; those are the ones that no longer are.
    revoked: set[str] | None = field(default=None)

    @classmethod
    def of(cls, anchor: Anchor) -> Self:
        """What was said before."""
        return cls(None if anchor.codes is None else set(anchor.codes), set(anchor.spent), set(anchor.devices))

    def hear(self, line: Link) -> None:
        """Take the next line to heart; the line must have been proven."""
        kind, fingerprint = line.event_type, line.device_fingerprint
        if kind in {Kind.TOTP_CONFIRMED, Kind.BACKUP_CODES_REGENERATED, Kind.CODE_ACCEPTED}:
            self._hear_codes(kind, json.loads(line.event_details or "{}").get("codes"))
        elif kind == Kind.DEVICE_TRUSTED and fingerprint:
            self.devices.add(fingerprint)
        elif kind in {Kind.DEVICE_REVOKED, Kind.DEVICE_THEFT} and fingerprint:
            self.devices.discard(fingerprint)
            if self.revoked is not None:
                self.revoked.add(fingerprint)
        elif kind in {Kind.DEVICE_REVOKED, Kind.PASSWORD_CHANGED, Kind.ADOPTED} and fingerprint is None:
            self.devices = set()
            self.revoked = set() if kind == Kind.ADOPTED else None

    def _hear_codes(self, kind: str, said: str | None) -> None:
        if said is None:
            return
        marks = set(said.split())
        if kind != Kind.CODE_ACCEPTED:
            self.codes, self.spent = marks, set()
        elif self.codes is not None:
            self.codes -= marks
        else:
            self.spent |= marks

    def anchor(self, through: int, mac: str | None, active: Iterable[str]) -> Anchor:
        """What is to be kept; of the devices those that are trusted here and `active` in their table."""
        devices = frozenset(one for one in active if self._trusts(one))
        codes = None if self.codes is None else frozenset(self.codes)
        return Anchor(through, mac, codes, frozenset(self.spent), devices)

    def _trusts(self, fingerprint: str) -> bool:
        return fingerprint in self.devices or (self.revoked is not None and fingerprint not in self.revoked)


def newest(work: Work, account: Account) -> tuple[int, Anchor]:
    """The newest anchor of a user's log and the number of its line; 0 and an empty one where nothing was pruned.

    Raises Tampered where it does not read.
    """
    events = work.schema.tables.events
    query = sa.select(events.c.seq, events.c.event_details).where(
        events.c.user_id == account.user_id,
        events.c.seq.between(1, account.event_count),
        events.c.event_type == Kind.PRUNED,
    )
    row = work.connection.execute(query.order_by(events.c.seq.desc()).limit(1)).first()
    return (0, Anchor()) if row is None else (row.seq, Anchor.read(row.event_details))


def _text(words: Iterable[str]) -> str:
    return " ".join(sorted(words))
