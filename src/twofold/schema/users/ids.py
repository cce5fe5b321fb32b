"""Which keys of users are served: the one list, which migration, verifier, doctor and library ask.

Integers of any width, signed and unsigned, and numbers without fractions; UUIDs, native or kept as text or bytes; text;
bytes. Nothing is coerced, since databases coerce what they compare each in its own way: '5' is 5 to one, 'ada' is 0 to
another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

if TYPE_CHECKING:
    from twofold.outcomes import UserId
    from twofold.schema.catalog.relation import Type

SERVED = "an integer, a number without fractions, a UUID, a text or bytes"
"""The list in words."""

_UNLIMITED = 255
_DIGITS = 38


@dataclass(frozen=True, slots=True)
class Ids:
    """What a column of ids holds: numbers from `low` to `high`, or up to `length` characters or bytes.

    `is_fixed` where every value has the full length: the database pads a text, and nothing but that length is bytes.
    """

    kind: Literal["integer", "decimal", "uuid", "text", "bytes"]
    low: int = -(2**63)
    high: int = 2**63 - 1
    length: int | None = None
    is_fixed: bool = False

    @property
    def type(self) -> TypeEngine[Any]:
        """The type by which values are bound and read."""
        match self.kind:
            case "integer":
                return sa.BigInteger()
            case "decimal":
                return WholeNumber()
            case "uuid":
                return sa.Uuid()
            case "text":
                return sa.String(self.length)
            case "bytes":
                return sa.LargeBinary()

    def stored(self, given: object) -> UserId | None:
        """The value as the column holds it, or None where the column cannot hold it."""
        match self.kind, given:
            case (_, bool()):
                return None
            case ("integer" | "decimal", int()) if self.low <= given <= self.high:
                return given
            case ("uuid", UUID()):
                return given
            case ("text", UUID()):
                return self._text(given.hex if self.length == 32 else str(given))
            case ("text", str()) if _is_text(given):
                return self._text(given)
            case ("bytes", UUID()):
                return self._bytes(given.bytes)
            case ("bytes", bytes()):
                return self._bytes(given)
            case _:
                return None

    def _text(self, given: str) -> str | None:
        if len(given) > (self.length or _UNLIMITED):
            return None
        return given.ljust(self.length) if self.is_fixed and self.length else given

    def _bytes(self, given: bytes) -> bytes | None:
        fits = len(given) == self.length if self.is_fixed else len(given) <= (self.length or _UNLIMITED)
        return given if fits else None


def ids(type_: Type, dialect: str) -> Ids | None:
    """What a column of this type holds, or None where such a key is not served."""
    is_unsigned = "unsigned" in type_.text.lower()
    match type_.family:
        case "boolean" if type_.size is not None:
            # To MariaDB a boolean is the narrowest of its integers.
            return _numbers("integer", 2**type_.size, is_unsigned=is_unsigned)
        case "integer":
            return _numbers("integer", 2 ** (type_.size or 64), is_unsigned=is_unsigned)
        case "decimal" if dialect != "sqlite":
            largest = 10 ** (type_.size or _DIGITS) - 1
            return Ids("decimal", 0 if is_unsigned else -largest, largest)
        case "decimal":
            # SQLite keeps such a number as an integer while it is one.
            return Ids("integer")
        case "uuid":
            # SQLite has no such type, and keeps the text that it is given.
            return Ids("text", length=36) if dialect == "sqlite" else Ids("uuid")
        case "string":
            return Ids("text", length=type_.size or _declared_length(type_.text))
        case "char":
            return Ids("text", length=type_.size, is_fixed=dialect == "postgresql")
        case "binary":
            return Ids("bytes", length=type_.size, is_fixed=type_.text.startswith("binary"))
        case _:
            return None


def _numbers(kind: Literal["integer"], many: int, *, is_unsigned: bool) -> Ids:
    return Ids(kind, 0, many - 1) if is_unsigned else Ids(kind, -many // 2, many // 2 - 1)


def _declared_length(text: str) -> int | None:
    """The length that SQLite does not enforce: by it, UUIDs with dashes and without are told apart."""
    found = re.search(r"\((\d{1,9})\)", text)
    return int(found[1]) if found else None


def _is_text(value: str) -> bool:
    """Whether a database can hold it: NUL ends a text, and half of a surrogate pair begins none."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value)


class WholeNumber(TypeDecorator[int]):
    """An integer that the database keeps as a decimal number."""

    impl = sa.Numeric
    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> None:
        """Bind the int as it is: every driver takes one."""

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:  # noqa: ARG002
        """Read an int, whatever number the driver makes of the column."""
        return _whole


def _whole(value: Any) -> Any:
    """An int. What is none was written by somebody else, and is nobody's id."""
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else str(value)
    return value


class Declared(UserDefinedType[Any]):
    """A type in the very words of the live database, which no reflection has shortened."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        """The words."""
        return self.text
