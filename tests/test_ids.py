"""Which user ids a column holds, and in what form: nothing is coerced, since databases coerce each in its own way."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from twofold import UnknownUser
from twofold.account.statements import Schema
from twofold.schema.catalog.relation import Type
from twofold.schema.users.ids import Ids, ids

BIG, SOMEBODY = 2**63, UUID(int=5)
BIGINT, TEXT = Ids("integer"), Ids("text")


@pytest.mark.parametrize(
    ("column", "given", "stored"),
    [
        (BIGINT, 0, 0),
        (BIGINT, -BIG, -BIG),
        (BIGINT, BIG - 1, BIG - 1),
        (Ids("integer", 0, 255), 255, 255),
        (Ids("decimal", 0, 10**38 - 1), 10**38 - 1, 10**38 - 1),
        (Ids("uuid"), SOMEBODY, SOMEBODY),
        (Ids("text", length=32), SOMEBODY, "00000000000000000000000000000005"),
        (Ids("text", length=36), SOMEBODY, "00000000-0000-0000-0000-000000000005"),
        (Ids("text", length=36), "x" * 36, "x" * 36),
        (Ids("text", length=5, is_fixed=True), "ada", "ada  "),
        (TEXT, "x" * 255, "x" * 255),
        (TEXT, "\ud7ff\ue000 é", "\ud7ff\ue000 é"),
        (TEXT, "", ""),
        (Ids("bytes", length=16, is_fixed=True), SOMEBODY, SOMEBODY.bytes),
        (Ids("bytes", length=16, is_fixed=True), SOMEBODY.bytes, SOMEBODY.bytes),
        (Ids("bytes"), b"ada", b"ada"),
    ],
)
def test_an_id_is_stored_as_the_column_has_it(column: Any, given: Any, stored: Any) -> None:
    kept = Schema("users.id", column).stored(given)
    assert (type(kept), kept) == (type(stored), stored)


@pytest.mark.parametrize(
    ("column", "given"),
    [
        *((BIGINT, given) for given in (BIG, -BIG - 1, True, False, 5.0, "5", None, SOMEBODY, b"5")),
        *((Ids("integer", 0, 255), given) for given in (-1, 256, True)),
        *((Ids("decimal", -9, 9), given) for given in (10, -10, 5.0, "5", True)),
        *((Ids("uuid"), given) for given in (str(SOMEBODY), 5, SOMEBODY.bytes, None, True)),
        *((Ids("text", length=36), given) for given in ("x" * 37, "a\0", "\ud800", "a\udfff", b"x", 5, None, True)),
        (TEXT, "x" * 256),
        *((Ids("bytes", length=16, is_fixed=True), given) for given in (b"5", b"5" * 17, "5" * 16, 5, None, True)),
        *((Ids("bytes", length=15), given) for given in (SOMEBODY, b"5" * 16)),
        (Ids("bytes"), b"x" * 256),
    ],
)
def test_an_id_of_another_kind_is_nobody(column: Any, given: Any) -> None:
    with pytest.raises(UnknownUser):
        Schema("users.id", column).stored(given)


@pytest.mark.parametrize(
    ("dialect", "type_", "held"),
    [
        ("postgresql", Type("integer", "smallint", 16), Ids("integer", -(2**15), 2**15 - 1)),
        ("mariadb", Type("integer", "mediumint unsigned", 24), Ids("integer", 0, 2**24 - 1)),
        ("mariadb", Type("integer", "bigint unsigned", 64), Ids("integer", 0, 2**64 - 1)),
        ("mariadb", Type("boolean", "tinyint", 8), Ids("integer", -128, 127)),
        ("sqlite", Type("integer", "INTEGER"), BIGINT),
        ("postgresql", Type("decimal", "numeric(4,0)", 4), Ids("decimal", -9999, 9999)),
        ("mariadb", Type("decimal", "decimal(4,0) unsigned", 4), Ids("decimal", 0, 9999)),
        ("sqlite", Type("decimal", "NUMERIC"), BIGINT),
        ("postgresql", Type("uuid", "uuid"), Ids("uuid")),
        ("sqlite", Type("uuid", "GUID"), Ids("text", length=36)),
        ("sqlite", Type("string", "CHAR(32)"), Ids("text", length=32)),
        ("postgresql", Type("char", "character(26)", 26), Ids("text", length=26, is_fixed=True)),
        ("mariadb", Type("char", "char(26)", 26), Ids("text", length=26)),
        ("mariadb", Type("binary", "binary(16)", 16), Ids("bytes", length=16, is_fixed=True)),
        ("mariadb", Type("binary", "varbinary(16)", 16), Ids("bytes", length=16)),
        ("postgresql", Type("binary", "bytea"), Ids("bytes")),
        *((dialect, Type("moment", "timestamp", 6), None) for dialect in ("sqlite", "postgresql", "mariadb")),
        ("postgresql", Type("boolean", "boolean"), None),
        ("postgresql", Type("other", "oid"), None),
    ],
)
def test_one_list_says_what_a_type_holds(dialect: str, type_: Type, held: Ids | None) -> None:
    assert ids(type_, dialect) == held


@pytest.mark.parametrize("column", [Ids("uuid"), Ids("text", length=36), Ids("bytes")])
def test_the_tables_refer_to_the_users_of_the_host(column: Any) -> None:
    schema = Schema("app.people.number", column)
    assert (schema.users.schema, schema.users.name, schema.users_id.name) == ("app", "people", "number")
    assert schema.ids is column
    for table in schema.tables:
        assert table.c.user_id.type is schema.users_id.type
        assert [key.target_fullname for key in table.c.user_id.foreign_keys] == ["app.people.number"]
