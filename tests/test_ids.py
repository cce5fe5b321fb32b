"""Which user ids a column holds, and in what form: nothing is coerced, since databases coerce each in its own way."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from twofold import UnknownUser
from twofold.account.statements import Schema

BIG, SOMEBODY = 2**63, UUID(int=5)


@pytest.mark.parametrize(
    ("column", "given", "stored"),
    [
        (sa.BigInteger(), 0, 0),
        (sa.BigInteger(), -BIG, -BIG),
        (sa.BigInteger(), BIG - 1, BIG - 1),
        (sa.Uuid(), SOMEBODY, SOMEBODY),
        (sa.String(32), SOMEBODY, "00000000000000000000000000000005"),
        (sa.String(36), SOMEBODY, "00000000-0000-0000-0000-000000000005"),
        (sa.String(36), "x" * 36, "x" * 36),
        (sa.String(), "x" * 255, "x" * 255),
        (sa.String(), "\ud7ff\ue000 é", "\ud7ff\ue000 é"),
        (sa.String(), "", ""),
    ],
)
def test_an_id_is_stored_as_the_column_has_it(column: Any, given: Any, stored: Any) -> None:
    kept = Schema("users.id", column).stored(given)
    assert (type(kept), kept) == (type(stored), stored)


@pytest.mark.parametrize(
    ("column", "given"),
    [
        *((sa.BigInteger(), given) for given in (BIG, -BIG - 1, True, False, 5.0, "5", None, SOMEBODY, b"5")),
        *((sa.Uuid(), given) for given in (str(SOMEBODY), 5, SOMEBODY.bytes, None, True)),
        *((sa.String(36), given) for given in ("x" * 37, "a\0", "\ud800", "a\udfff", b"x", 5, None, True)),
        (sa.String(), "x" * 256),
    ],
)
def test_an_id_of_another_kind_is_nobody(column: Any, given: Any) -> None:
    with pytest.raises(UnknownUser):
        Schema("users.id", column).stored(given)


@pytest.mark.parametrize("column", [sa.Uuid(), sa.String(36)])
def test_the_tables_refer_to_the_users_of_the_host(column: Any) -> None:
    schema = Schema("app.people.number", column)
    assert (schema.users.schema, schema.users.name, schema.users_id.name) == ("app", "people", "number")
    assert schema.users_id.type is column
    for table in schema.tables:
        assert table.c.user_id.type is column
        assert [key.target_fullname for key in table.c.user_id.foreign_keys] == ["app.people.number"]
