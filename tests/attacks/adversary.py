"""Somebody with SQL and without keys, who has kept every version of every row and mixes them as he likes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.exc import DBAPIError

from tests.attacks.intruder import CODES, DEVICES, EVENTS, PASSKEYS, SECRETS
from tests.attacks.rows import TABLES, Row, Shot, Tables

if TYPE_CHECKING:
    from collections.abc import Iterable

# The columns by which a code or a device that has ended might come back, to be changed more often than others.
_TELLING = {
    CODES: ("expires_at", "is_used", "expires_at", "is_used", "code_hash"),
    DEVICES: ("last_used_at", "previous_token", "rotated_at", "trusted_until", "revoked_at", "browser") * 2,
    EVENTS: ("event_type", "seq", "event_details"),
    PASSKEYS: ("sign_count", "revoked_at", "suspended_at", "public_key", "credential_id", "credential_key") * 2,
}
_FLAGS = ("is_", "backup_", "user_verified")
_KINDS = (
    "totp_begun",
    "totp_confirmed",
    "challenged",
    "code_accepted",
    "backup_codes_regenerated",
    "device_trusted",
    "device_revoked",
    "password_changed",
    "adopted",
    "pruned",
    "repaired",
)
_MOMENTS = ("2099-01-01 00:00:00.000000", "2026-11-22 11:59:00.000000", "1970-01-01 00:00:00.000000")
_NUMBERS = (0, 1, 2, 99, -1, 2**31 - 1)


class Move(NamedTuple):
    """One thing that he does: what, to whom, where, and which of the possibilities."""

    kind: str
    table: str
    pick: int
    column: int
    value: int


class Adversary:
    """He remembers every row and every moment, and changes what he likes."""

    def __init__(self, tables: Tables, users: tuple[int, int]) -> None:
        self._tables, self._users = tables, users
        self._rows: dict[str, dict[Row, None]] = {name: {} for name in TABLES}
        self._moments: dict[int, list[Shot]] = {user: [] for user in users}

    def remember(self, shots: dict[int, Shot]) -> None:
        """Keep what stands there now."""
        for user, shot in shots.items():
            moments = self._moments[user]
            if not moments or moments[-1] != shot:
                for name in TABLES:
                    fresh = shot[name] - moments[-1][name] if moments else shot[name]
                    self._rows[name].update(dict.fromkeys(sorted(fresh, key=_by_id)))
                moments.append(shot)

    def move(self, user: int, move: Move) -> str:
        """Do it; say what was done."""
        name = move.table
        match move.kind:
            case "tables of before":
                names = [one for place, one in enumerate(TABLES) if (move.column % 31 + 1) & (1 << place)]
                return self._put_back(user, move.pick, names)
            case "all of before":
                return self._put_back(user, move.pick, TABLES)
            case "remove all":
                self._tables.take(name, user)
            case "cut the end":
                self._tables.take(EVENTS, user, self._standing(user, EVENTS)[: move.pick % 5 + 1])
            case "cut the beginning":
                self._tables.take(EVENTS, user, self._standing(user, EVENTS)[::-1][: move.pick % 5 + 1])
            case "plant":
                return self._plant(user, move)
            case _:
                return self._move_rows(user, move)
        return f"{move.kind} in {name}"

    def _move_rows(self, user: int, move: Move) -> str:
        """What needs a row that is there, or was there once."""
        name, standing = move.table, self._standing(user, move.table)
        known = [
            row for row in self._rows[name] if (self._owner(name, row) == user) is (move.kind == "a row of before")
        ]
        match move.kind:
            case "a row of before" if known:
                self._tables.put(name, known[move.pick % len(known)])
            case "copy from the other" if known:
                copied = dict(zip(self._tables.columns[name], known[move.pick % len(known)], strict=True))
                del copied["id"]
                self._tables.take(name, user, standing[: move.column % 2])
                self._tables.add(name, **copied | {"user_id": user})
            case "remove a row" if standing:
                self._tables.take(name, user, [standing[move.pick % len(standing)]])
            case "edit" if standing:
                return self._edit(name, [standing[move.pick % len(standing)]], move)
            case "edit all" if standing:
                return self._edit(name, standing, move)
            case _:
                return "nothing"
        return f"{move.kind} in {name}"

    def put_back(self, user: int, shot: Shot, names: Iterable[str] = TABLES) -> None:
        """Let exactly this stand of a user."""
        for name in names:
            self._tables.take(name, user)
            for row in sorted(shot[name], key=_by_id):
                self._tables.put(name, row)

    def _put_back(self, user: int, pick: int, names: Iterable[str]) -> str:
        moments = self._moments[user]
        place = len(moments) - 1 - pick % len(moments)
        self.put_back(user, moments[place], names)
        return f"{', '.join(names)} as at moment {place}"

    def _edit(self, name: str, rows: list[Row], move: Move) -> str:
        columns = [*_TELLING.get(name, ()), *(one for one in self._tables.columns[name] if one != "id")]
        column = columns[move.column % len(columns)]
        values = [self._fitting(column, value) for value in self._values(name, column)]
        value = values[move.value % len(values)]
        if value is None and column in {"user_id", "created_at", "updated_at", "event_type", "event_status"}:
            return "nothing"
        try:
            for row in rows:
                self._tables.change(name, row, column, value)
        except DBAPIError:
            return "nothing, for the database would not have it"
        return f"{name}.{column} = {value!r}{' in all rows' if len(rows) > 1 else ''}"

    def _values(self, name: str, column: str) -> list[Any]:
        """What he may write into a column: what stood there once, in any row, and what he thinks of."""
        place = self._tables.columns[name].index(column)
        before = list(dict.fromkeys(row[place] for row in self._rows[name]))[-8:]
        if column == "user_id":
            return list(self._users)
        if column.endswith(("_at", "_until")):
            return [None, *map(self._tables.moment, _MOMENTS), *before]
        if column == "event_type":
            return [*_KINDS, *before]
        if column.startswith(_FLAGS):
            return [False, True]
        if column == "seq":
            return [None, *range(1, 12), 2**63 - 1, 0, -1]
        if before and all(isinstance(value, int) for value in before if value is not None):
            return [None, *_NUMBERS, *before]
        return [None, *before]

    def _fitting(self, column: str, value: Any) -> Any:
        return bool(value) if column.startswith(_FLAGS) and self._tables.dialect == "postgresql" else value

    def _plant(self, user: int, move: Move) -> str:
        moment = self._tables.moment("2026-11-01 08:00:00.000000")
        match move.table:
            case "mfa_backup_codes":
                code_hash = hashlib.sha256(PLANTED_CODE.encode()).hexdigest()
                self._tables.add(CODES, user_id=user, code_hash=code_hash, is_used=False, created_at=moment)
            case "mfa_device_trusts":
                until = self._tables.moment(_MOMENTS[0])
                self._tables.add(
                    DEVICES,
                    user_id=user,
                    device_fingerprint="f00",
                    trust_token=planted_token(user),
                    trusted_until=until,
                    last_used_at=until,
                    usage_count=0,
                    created_at=moment,
                )
            case "mfa_passkeys":
                self._tables.add(
                    PASSKEYS,
                    user_id=user,
                    name="planted",
                    credential_key=f"v1:k1:00000000:{user}",
                    credential_id="v1:k1:00000000:AAAA",
                    public_key="v1:k1:00000000:AAAA",
                    user_handle="AAAA",
                    rp_id="example.com",
                    algorithm=-7,
                    created_at=moment,
                )
            case "user_mfa_secrets":
                if move.column % 2:
                    self._tables.take(SECRETS, user)
                self._tables.add(
                    SECRETS,
                    user_id=user,
                    secret=PLANTED_SECRET,
                    is_enabled=True,
                    is_verified=True,
                    created_at=moment,
                    updated_at=moment,
                )
            case _:
                like = {"event_status": "success", "created_at": moment}
                if events := list(self._rows[EVENTS]):
                    like = dict(zip(self._tables.columns[EVENTS], events[-1 - move.pick % len(events)], strict=True))
                    del like["id"]
                kind, number = _KINDS[move.column % len(_KINDS)], [*range(1, 14), None][move.value % 14]
                self._tables.add(EVENTS, **like | {"user_id": user, "seq": number, "event_type": kind})
        return f"something in {move.table}"

    def _standing(self, user: int, name: str) -> list[Row]:
        """What stands there, the newest first."""
        return sorted(self._tables.read([user])[user][name], key=_by_id, reverse=True)

    def _owner(self, name: str, row: Row) -> int:
        owner: int = self._tables.get(name, row, "user_id")
        return owner


PLANTED_CODE = "PWNED123"
PLANTED_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def planted_token(user: int) -> str:
    """The cookie of a device that he puts in."""
    return f"planted-cookie-for-{user}"


def _by_id(row: Row) -> int:
    number: int = row[0]
    return number
