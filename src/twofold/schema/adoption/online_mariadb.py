"""What MariaDB cannot change without copying the table, told by the catalog before it is tried.

Found out on 10.11, a change at a time: adding a column is instant, and making one longer, unless something else stands
on the table; NOT NULL comes and goes in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from twofold.schema.plan.plan import Subject

_INDEXED = sa.text(
    "SELECT coalesce(max(i.index_type = 'FULLTEXT'), 0) AS has_full_text, "
    "coalesce(max(i.index_type = 'SPATIAL'), 0) AS has_spatial, "
    "coalesce(max(i.index_type = 'HASH'), 0) AS has_hash, "
    "coalesce(max(c.extra LIKE '%VIRTUAL GENERATED%'), 0) AS has_virtual "
    "FROM information_schema.statistics i JOIN information_schema.columns c ON c.table_schema = database() "
    "AND c.table_name = :table AND c.column_name = i.column_name "
    "WHERE i.table_schema = database() AND i.table_name = :table"
)
_STORED = sa.text(
    "SELECT count(*) FROM information_schema.columns WHERE table_schema = database() AND table_name = :table "
    "AND extra LIKE '%STORED GENERATED%'"
)
_LONGEST = sa.text(
    "SELECT c.character_octet_length AS bytes, s.maxlen AS width, t.row_format AS format "
    "FROM information_schema.columns c JOIN information_schema.character_sets s "
    "ON s.character_set_name = c.character_set_name JOIN information_schema.tables t "
    "ON t.table_schema = database() AND t.table_name = :table "
    "WHERE c.table_schema = database() AND c.table_name = :table AND c.column_name = :column"
)
_ONE_BYTE = 255


@dataclass(frozen=True, slots=True)
class Copies:
    """Whether the table is copied when a column is added, when NULL is allowed or forbidden, and at any change."""

    to_add: bool
    to_require: bool
    always: bool


def copies(subject: Subject) -> Copies:
    """Ask for what makes MariaDB copy: full-text, spatial and hash indexes, indexed virtual columns, stored columns."""
    asked = {"table": subject.name}
    indexed = subject.connection.execute(_INDEXED, asked).one()
    stored = bool(subject.connection.execute(_STORED, asked).scalar_one())
    hashed, heavy = bool(indexed.has_hash), bool(indexed.has_full_text or indexed.has_virtual)
    return Copies(hashed or heavy, hashed or heavy or bool(indexed.has_spatial) or stored, hashed)


def is_copied_to_lengthen(subject: Subject, column: str) -> bool:
    """Whether a string gets another type, or a length that takes a second byte to tell."""
    wanted = getattr(subject.expected.c[column].type, "length", None)
    if wanted is None:
        return True
    live = subject.connection.execute(_LONGEST, {"table": subject.name, "column": column}).one()
    crosses = int(live.bytes) <= _ONE_BYTE < wanted * int(live.width)
    return crosses and str(live.format).upper() != "REDUNDANT"
