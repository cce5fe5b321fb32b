"""The rows of our tables as they stand, read and written past the library."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tests.attacks.intruder import CODES, DEVICES, EVENTS, PASSKEYS, SECRETS
from twofold.account import digests

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = tuple[Any, ...]
Shot = dict[str, frozenset[Row]]
"""What stands of one user, by the name of the table."""

TABLES = (SECRETS, CODES, DEVICES, EVENTS, PASSKEYS)
NOTHING: Shot = dict.fromkeys(TABLES, frozenset())
_UNIQUE = {
    SECRETS: ("user_id",),
    CODES: ("user_id", "code_hash"),
    DEVICES: ("trust_token",),
    EVENTS: ("user_id", "seq"),
    PASSKEYS: ("credential_key",),
}
# What no row is sealed by, so that it may say anything.
_FREE = {"id", "created_at", "updated_at"}
# What makes a line of its own of the log, and what a login may rest on in the other tables.
_DECIDES = {
    CODES: ("id", "user_id", "code_hash", "expires_at"),
    DEVICES: (
        "id",
        "user_id",
        "device_fingerprint",
        "browser",
        "platform",
        "trust_token",
        "previous_token",
        "rotated_at",
        "trusted_until",
        "last_used_at",
        "created_at",
    ),
    PASSKEYS: ("user_id", *digests.PASSKEYS),
}


class Tables:
    """Our tables as they stand, read and written past the library; that of passkeys where there is one."""

    def __init__(self, engine: sa.Engine) -> None:
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.dialect = engine.dialect.name
        names = [name for name in TABLES if name != PASSKEYS or sa.inspect(engine).has_table(name)]
        nothing = {name: self._connection.exec_driver_sql(f"SELECT * FROM {name} WHERE 1 = 0") for name in names}
        self.columns = {name: tuple(result.keys()) for name, result in nothing.items()}

    def close(self) -> None:
        self._connection.close()

    def run(self, statement: str, **parameters: Any) -> None:
        self._connection.execute(sa.text(statement), parameters)

    def empty(self) -> None:
        """Take everything away, the users too."""
        for name in (*reversed([*self.columns]), "users"):
            self.run(f"DELETE FROM {name}")

    def add_user(self, number: int) -> int:
        subject, moment = f"user{number}@example.com", self.moment("2026-01-01 00:00:00.000000")
        self.run("INSERT INTO users (subject, created_at) VALUES (:subject, :moment)", subject=subject, moment=moment)
        found = self._connection.execute(sa.text("SELECT id FROM users WHERE subject = :subject"), {"subject": subject})
        return int(found.scalar_one())

    def read(self, users: Iterable[int]) -> dict[int, Shot]:
        """What stands of each user."""
        wanted = ", ".join(str(user) for user in users)
        shots: dict[int, Shot] = {user: {} for user in users}
        for name, columns in self.columns.items():
            owner = columns.index("user_id")
            found: dict[int, list[Row]] = {user: [] for user in shots}
            for row in self._connection.exec_driver_sql(f"SELECT * FROM {name} WHERE user_id IN ({wanted})"):
                found[row[owner]].append(tuple(row))
            for user, rows in found.items():
                shots[user][name] = frozenset(rows)
        return shots

    def get(self, name: str, row: Row, column: str) -> Any:
        return row[self.columns[name].index(column)]

    def sealed(self, row: Row) -> Row:
        """What a version of a user's row is known by."""
        return tuple(value for column, value in zip(self.columns[SECRETS], row, strict=True) if column not in _FREE)

    def deciding(self, name: str, rows: Iterable[Row]) -> frozenset[Row]:
        """What must not be changed in a table without being noticed."""
        if name == SECRETS:
            return frozenset(map(self.sealed, rows))
        if name == EVENTS:
            number = self.columns[name].index("seq")
            return frozenset(row[1:] for row in rows if row[number] is not None)
        live = (row for row in rows if self.is_live(name, row))
        places = [self.columns[name].index(column) for column in _DECIDES[name]]
        return frozenset(tuple(row[place] for place in places) for row in live)

    def is_live(self, name: str, row: Row) -> bool:
        """Whether a row claims that its code or device is in force."""
        return not self.get(name, row, "is_used" if name == CODES else "revoked_at")

    def is_ours(self, name: str, row: Row) -> bool:
        """Whether Twofold wrote the row, and not an application of before."""
        columns = {SECRETS: "state_mac", CODES: "code_hash", DEVICES: "device_fingerprint", EVENTS: "mac"}
        column = columns.get(name, "credential_key")
        value = self.get(name, row, column)
        return value is not None and str(value).startswith("v1:")

    def put(self, name: str, row: Row) -> None:
        """Put a row into its place, whatever stands there or in its way."""
        values = dict(zip(self.columns[name], row, strict=True))
        self.run(f"DELETE FROM {name} WHERE id = :id", id=values["id"])
        unique = {column: values[column] for column in _UNIQUE[name]}
        if None not in unique.values():
            self.run(f"DELETE FROM {name} WHERE {' AND '.join(f'{column} = :{column}' for column in unique)}", **unique)
        self._insert(name, values)

    def add(self, name: str, /, **values: Any) -> None:
        """Put a new row in, where nothing is in its way."""
        unique = {column: values.get(column) for column in _UNIQUE[name]}
        if None not in unique.values():
            where = " AND ".join(f"{column} = :{column}" for column in unique)
            if self._connection.execute(sa.text(f"SELECT 1 FROM {name} WHERE {where}"), unique).first():
                return
        self._insert(name, values)

    def change(self, name: str, row: Row, column: str, value: Any) -> None:
        """Write one column of one row, where no key is in the way of it."""
        values = dict(zip(self.columns[name], row, strict=True))
        changed = values | {column: value}
        unique = {key: changed[key] for key in _UNIQUE[name]}
        if column in unique and None not in unique.values():
            where = " AND ".join(f"{key} = :{key}" for key in unique)
            self.run(f"DELETE FROM {name} WHERE {where} AND id <> :id", id=values["id"], **unique)
        self.run(f"UPDATE {name} SET {column} = :value WHERE id = :id", value=value, id=values["id"])

    def take(self, name: str, user: int, rows: Iterable[Row] | None = None) -> None:
        """Remove rows of a user, or all of them."""
        if rows is None:
            self.run(f"DELETE FROM {name} WHERE user_id = :user", user=user)
        for row in rows or ():
            self.run(f"DELETE FROM {name} WHERE id = :id", id=row[0])

    def moment(self, text: str) -> str:
        return f"{text}+00" if self.dialect == "postgresql" else text

    def _insert(self, name: str, values: dict[str, Any]) -> None:
        names = ", ".join(values)
        self.run(f"INSERT INTO {name} ({names}) VALUES ({', '.join(f':{column}' for column in values)})", **values)


def moment(value: Any) -> datetime | None:
    """A moment as a driver gives it."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
