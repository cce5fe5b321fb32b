"""Rows for tables of any shape, and all of them as something to compare."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from twofold.schema import catalog, spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

    from tests.databases import Database
    from twofold.schema.catalog.relation import Column

# An hour that happens twice where clocks are put back, a character of four bytes, an id beyond 31 bits.
_LATE = "2026-03-29 01:30:00.123456"
_VALUES = {
    "algorithm": "SHA1",
    "digits": "6",
    "period": "30",
    "code_hash": "{token}",
    "trust_token": "{token}",
    "device_name": "Adas 📱",
    "event_details": '{{"note": "grüße 📱"}}',
}
_EMPTY_AT_FIRST = {"used_at", "secret", "device_name", "last_used_at"}
_BY_FAMILY = {"integer": "1", "boolean": "0", "moment": _LATE, "string": "x", "uuid": "x", "other": "1"}


def seed(connection: sa.Connection, rows: int = 3) -> None:
    """Put users into `users` and a row for each of them into every table, whatever columns it has."""
    users = catalog.read(connection, "users")
    assert users is not None
    for number in range(1, rows + 1):
        values = {"id": str(number)} | ({"subject": f"user-{number}"} if "subject" in users.columns else {})
        _insert(connection, "users", values)
        for name in spec.NAMES:
            relation = catalog.read(connection, name)
            if relation is not None and relation.kind == "table":
                filled = {one.name: _value(one, number) for one in relation.columns.values() if not one.generated}
                _insert(connection, name, filled)
    connection.commit()


def _insert(connection: sa.Connection, table: str, values: Mapping[str, str | None]) -> None:
    names = ", ".join(map(connection.dialect.identifier_preparer.quote, values))
    # Literals take the type of their column, on every database.
    texts = ", ".join("NULL" if value is None else "'" + value.replace("'", "''") + "'" for value in values.values())
    connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({texts})")


def _value(column: Column, number: int) -> str | None:
    if column.name == "id":
        return str(number)
    if column.name == "user_id":
        return str(number)
    if column.nullable and number == 1 and column.name in _EMPTY_AT_FIRST:
        return None
    return _filled(column, number)


def _filled(column: Column, number: int) -> str:
    if column.type.family == "integer" and column.name not in {"digits", "period"}:
        return "1"
    if column.type.charset == "latin1":
        return "Adas Gerät"
    if column.type.text.startswith("timestamp(") and column.name == "created_at":
        return _LATE
    return _VALUES.get(column.name, _BY_FAMILY[column.type.family]).format(token=f"token-{number}")


def fill(database: Database, rows: int = 3) -> None:
    """Seed a database."""
    with database.engine().connect() as connection:
        seed(connection, rows)
    database.dispose()


def contents(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table and of `users`, its moments in UTC."""
    found: dict[str, list[dict[str, Any]]] = {}
    with database.engine().connect() as connection:
        for name in ("users", *spec.NAMES):
            relation = catalog.read(connection, name)
            if relation is not None and relation.kind == "table":
                rows = connection.exec_driver_sql(f"SELECT * FROM {name} ORDER BY id").mappings()
                found[name] = [{column: _plain(value) for column, value in row.items()} for row in rows]
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value).isoformat(" ")
    return value


def unchanged(before: dict[str, list[dict[str, Any]]], after: dict[str, list[dict[str, Any]]]) -> bool:
    """No row is gone, and none of its values is another one; columns and tables may have been added."""
    for name, rows in before.items():
        assert len(after[name]) == len(rows), name
        for old, new in zip(rows, after[name], strict=True):
            assert {column: new[column] for column in old} == old, name
    return True
