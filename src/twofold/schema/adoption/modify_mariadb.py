"""MariaDB's MODIFY, which forgets whatever it does not name: a column is said in full, as the steps before leave it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from twofold.schema.plan.plan import Subject

UTF8 = "utf8mb4"
_COLUMN = sa.text(
    "SELECT column_type AS spelled, is_nullable = 'YES' AS nullable, column_default AS default_text, "
    "character_set_name AS charset, collation_name AS collation, extra, column_comment AS comment "
    "FROM information_schema.columns WHERE table_schema = database() AND table_name = :table AND column_name = :column"
)
_RENEWED = re.compile(r"on update [\w()]+", re.IGNORECASE)
_CHECK = sa.text(
    "SELECT check_clause FROM information_schema.check_constraints WHERE constraint_schema = database() "
    "AND table_name = :table AND level = 'Column' AND constraint_name = :column"
)


@dataclass(frozen=True, slots=True)
class _Definition:
    """All of a column that MODIFY has to say."""

    type_: str
    nullable: bool
    default: str | None
    charset: str | None
    collation: str | None
    is_counted: bool
    renewed: str | None
    is_invisible: bool
    comment: str
    check: str | None

    def __str__(self) -> str:
        parts = [self.type_]
        if self.charset is not None:
            parts.append(f"CHARACTER SET {self.charset}")
        if self.collation is not None:
            parts.append(f"COLLATE {self.collation}")
        parts.append("NULL" if self.nullable else "NOT NULL")
        if self.default is not None and not (self.default.upper() == "NULL" and not self.nullable):
            parts.append(f"DEFAULT {self.default}")
        if self.is_counted:
            parts.append("AUTO_INCREMENT")
        if self.renewed is not None:
            parts.append(self.renewed)
        if self.is_invisible:
            parts.append("INVISIBLE")
        if self.comment:
            parts.append(f"COMMENT {_literal(self.comment)}")
        if self.check is not None:
            parts.append(f"CHECK ({self.check})")
        return " ".join(parts)


class Columns:
    """The columns of one table, each as it will be when the steps that were asked for so far are done.

    A plan is carried out as it was computed, so the second MODIFY of a column must not take the first one back.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._definitions: dict[str, _Definition] = {}

    def retyped(self, column: str, type_: str) -> str:
        """The change that gives a column another type; strings in another character set become utf8mb4."""
        definition = self._now(column)
        if definition.charset not in {None, UTF8}:
            definition = replace(definition, charset=UTF8, collation=None)
        return self._modified(column, replace(definition, type_=type_))

    def nullable(self, column: str, *, is_nullable: bool) -> str:
        """The change that allows NULL, or forbids it."""
        return self._modified(column, replace(self._now(column), nullable=is_nullable))

    def defaulted(self, column: str, default: str) -> str:
        """The change that gives a column a default."""
        self._definitions[column] = replace(self._now(column), default=default)
        return f"ALTER COLUMN {column} SET DEFAULT {default}"

    def _modified(self, column: str, definition: _Definition) -> str:
        self._definitions[column] = definition
        return f"MODIFY COLUMN {column} {definition}"

    def _now(self, column: str) -> _Definition:
        if column not in self._definitions:
            asked = {"table": self._subject.name, "column": column}
            live = self._subject.connection.execute(_COLUMN, asked).one()
            extra = str(live.extra)
            renewed = _RENEWED.search(extra)
            self._definitions[column] = _Definition(
                str(live.spelled),
                bool(live.nullable),
                None if live.default_text is None else str(live.default_text),
                None if live.charset is None else str(live.charset),
                None if live.charset is None else str(live.collation),
                "auto_increment" in extra.lower(),
                None if renewed is None else renewed[0],
                "invisible" in extra.lower(),
                str(live.comment),
                self._subject.connection.execute(_CHECK, asked).scalar_one_or_none(),
            )
        return self._definitions[column]


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
