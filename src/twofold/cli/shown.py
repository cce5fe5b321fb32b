"""What people are shown: text from anywhere, in which nothing moves a cursor, hides, or stands for another line.

A name in a database may hold an escape sequence, a line feed or a mark of direction. All that is printed goes through
here, so no command has to know where its words come from.
"""

from __future__ import annotations

import sys

from rich import table
from rich.text import Text


def visible(text: str) -> str:
    r"""The text with everything that is not printable written out: `\x1b`, `\n`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


class Line:
    """A line of texts from anywhere, each with a style."""

    def __init__(self, *parts: tuple[str, str]) -> None:
        # Made visible first: a Text drops some of what cannot be printed, and what is dropped is not seen.
        self.text = Text.assemble(*((visible(part), style) for part, style in parts))


class Table(table.Table):
    """A table whose cells are texts from anywhere."""

    def add_row(self, *cells: str) -> None:  # type: ignore[override]
        """Add a row of cells."""
        super().add_row(*(Text(visible(cell)) for cell in cells))


def can_show(text: str) -> bool:
    """Whether standard output has these characters in its encoding."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def counted(number: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
