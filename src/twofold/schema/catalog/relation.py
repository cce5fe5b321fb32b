"""A relation as the database's own catalog tells it, in the same words for every database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Family = Literal["integer", "boolean", "decimal", "string", "char", "binary", "moment", "uuid", "other"]


@dataclass(frozen=True, slots=True)
class Type:
    """A column's type. `size`: bits of an integer, length of a string, digits of a second; None is no limit.

    A decimal has no fractions, and a char is padded. A domain of PostgreSQL has the family of what it stands for.
    """

    family: Family
    text: str
    size: int | None = None
    zoned: bool = False
    charset: str | None = None
    is_domain: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `numbers_itself` where the database gives a new row its value."""

    name: str
    type: Type
    nullable: bool
    default: str | None = None
    numbers_itself: bool = False
    generated: bool = False

    @property
    def fills_itself(self) -> bool:
        """Whether a row can be inserted without naming this column."""
        return self.nullable or self.default is not None or self.numbers_itself or self.generated


@dataclass(frozen=True, slots=True)
class Index:
    """An index. `flaw` says why it does not serve: INVALID, partial, over an expression or a prefix, ignored."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    method: str = "btree"
    flaw: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key. `flaw` says why it does not hold: NOT VALID, its triggers disabled."""

    name: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: str
    flaw: str | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, or whatever stands under its name.

    `identity` is how foreign keys name it. `kind` is "table" or what else it is. `flaws` are properties of storage
    that nothing can be built on; `listed` is what the host added and what is only told.
    """

    name: str
    identity: str
    kind: str
    columns: Mapping[str, Column] = field(default_factory=dict[str, Column])
    primary_key: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    flaws: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
