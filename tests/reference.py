"""docs/reference.md, made from the code: every operation with its parameters, every value with its fields.

`python -m tests.reference` writes it.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING

import sqlalchemy as sa

import twofold
from tests.databases import ROOT
from tests.people import plain_settings
from twofold import MFA
from twofold.keyring import generate_key
from twofold.operation import Blocking

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "reference.md"
# What the command line does for operators is told in docs/cli.md.
_OF_OPERATORS = frozenset({"keys", "legacy"})
_HEAD = """\
# Reference

Every operation of `MFA`, which are those of `AsyncMFA`, awaited, and every value that they return; `keys` and `legacy`
are for operators, by [the command line](cli.md). How they go
together: [library.md](library.md); what they raise: [library.md](library.md#when-something-is-wrong). Made from the
code by `python -m tests.reference`.

"""


def page() -> str:
    """The page as it has to be."""
    return _HEAD + "\n".join((*_operations(), "", *_values(), ""))


def _operations() -> Iterator[str]:
    yield "## Operations"
    yield ""
    yield "| operation | returns | what it does |"
    yield "|---|---|---|"
    mfa = MFA(sa.create_engine("sqlite://"), plain_settings(keys=generate_key("k1")))
    alone = [name for name in _public(mfa) if callable(getattr(mfa, name)) and name != "within"]
    groups = [name for name, value in vars(mfa).items() if isinstance(value, Blocking) and name not in _OF_OPERATORS]
    named = [f"{group}.{name}" for group in groups for name in _public(getattr(mfa, group))]
    for name in alone + named:
        operation: object = mfa
        for part in name.split("."):
            operation = getattr(operation, part)
        assert callable(operation)
        yield _operation(name, inspect.signature(operation), inspect.getdoc(operation) or "")


def _operation(name: str, signature: inspect.Signature, doc: str) -> str:
    parameters = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
    shown = signature.replace(parameters=parameters, return_annotation=signature.empty)
    returns = str(signature.return_annotation).replace(" | ", "` or `")
    return f"| `{name}{shown}` | `{returns}` | {_first(doc)} |"


def _values() -> Iterator[str]:
    yield "## Values"
    yield ""
    yield "| value | fields | what it is |"
    yield "|---|---|---|"
    for name in sorted(twofold.__all__):
        value = getattr(twofold, name)
        if dataclasses.is_dataclass(value):
            fields = ", ".join(f"`{field.name}`" for field in dataclasses.fields(value))
            yield f"| `{name}` | {fields} | {_first(inspect.getdoc(value) or '')} |"


def _public(thing: object) -> list[str]:
    return [name for name in dir(thing) if not name.startswith("_")]


def _first(doc: str) -> str:
    """The first paragraph, as one line of a table."""
    return " ".join(doc.partition("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
