"""CREATE TABLE of SQLite taken apart, since no catalog of it holds a CHECK, or an added column in its own words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# A quoted text or name, a comment, a word, or any other character.
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|\w+|\s+|.", re.DOTALL
)
_CONSTRAINTS = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"}
_OPEN, _CLOSE = "(", ")"


@dataclass(frozen=True, slots=True)
class Part:
    """One column or one constraint, as somebody wrote it. `name` is the column's, in lower case, or None."""

    text: str
    name: str | None

    @property
    def tokens(self) -> list[str]:
        """Its words and signs, without blanks and comments."""
        return list(_meaningful(self.text))

    @property
    def kind(self) -> str:
        """CHECK, UNIQUE, FOREIGN or PRIMARY, for a constraint."""
        words = [token.upper() for token in self.tokens]
        return words[2] if words[0] == "CONSTRAINT" else words[0]

    @property
    def checks(self) -> list[str]:
        """Every CHECK that stands in it, with its brackets."""
        found: list[str] = []
        tokens = self.tokens
        for start, token in enumerate(tokens):
            if token.upper() == "CHECK":
                found.append(f"CHECK {' '.join(_bracketed(tokens[start + 1 :]))}")
        return found


def parts(sql: str) -> list[Part]:
    """The columns and constraints between the outermost brackets of a CREATE TABLE."""
    found: list[Part] = []
    depth, text = 0, ""
    for word in _TOKEN.findall(sql):
        depth += (word == _OPEN) - (word == _CLOSE)
        is_end = (depth == 1 and word == ",") or (depth == 0 and word == _CLOSE)
        if is_end:
            found.append(_part(text))
            text = ""
            if depth == 0:
                break
        elif depth > 1 or (depth == 1 and word != _OPEN):
            text += word
    return found


def _part(text: str) -> Part:
    tokens = list(_meaningful(text))
    # A comment behind the last comma would swallow what follows it in the new statement.
    plain = "".join("\n" if token.startswith("--") else token for token in _TOKEN.findall(text)).strip()
    is_constraint = tokens[0].upper() in _CONSTRAINTS
    return Part(plain, None if is_constraint else unquoted(tokens[0]).casefold())


def _meaningful(text: str) -> Iterator[str]:
    for token in _TOKEN.findall(text):
        if token.strip() and not token.startswith(("--", "/*")):
            yield token


def _bracketed(tokens: list[str]) -> Iterator[str]:
    depth = 0
    for token in tokens:
        depth += (token == _OPEN) - (token == _CLOSE)
        yield token
        if depth == 0:
            return


def unquoted(name: str) -> str:
    """A name without the quotes around it."""
    if name[0] in "\"'`" and name[-1] == name[0]:
        return name[1:-1].replace(name[0] * 2, name[0])
    return name[1:-1] if name[0] == "[" else name
