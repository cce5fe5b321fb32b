"""What is made from the code: the tables of docs/api.md, docs/openapi.json, and the client in TypeScript.

`python -m tests.web.api.documented` writes them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.databases import ROOT
from tests.web.api import typescript
from twofold.errors import MFAError, Rejected
from twofold.web import problems
from twofold.web.api import models
from twofold.web.api.openapi import openapi
from twofold.web.api.operations import OPERATIONS
from twofold.web.visit import SignedIn, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "api.md"
FILE = ROOT / "docs" / "openapi.json"
_WHOM: dict[tuple[type, ...], str] = {(Waiting,): "who waits", (SignedIn,): "who is in"}


def description() -> str:
    """The file as it has to be."""
    return json.dumps(openapi("/mfa"), indent=1, ensure_ascii=False) + "\n"


def page() -> str:
    """The page as it has to be: what stands between two marks is made."""
    text = PAGE.read_text(encoding="utf-8")
    for name, made in (("operations", _operations()), ("problems", _problems())):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + "".join(f"{line}\n" for line in made) + end + rest.partition(end)[2]
    return text


def _operations() -> Iterator[str]:
    yield "| operation | for | body | answer | what it does |"
    yield "|---|---|---|---|---|"
    for one in OPERATIONS:
        whom = _WHOM.get(one.audience, "anybody")
        body = "" if one.takes is models.Nothing else ", ".join(f"`{name}`" for name in one.takes.model_fields)
        yield f"| `{one.method} {one.path}` | {whom} | {body} | `{one.gives.__name__}` | {one.summary} |"


def _problems() -> Iterator[str]:
    yield "| reason | status | title | raised by the library |"
    yield "|---|---|---|---|"
    raised: dict[problems.Kind, list[str]] = {kind: [] for kind in problems.REQUESTS}
    for reason, kind in problems.REASONS.items():
        raised.setdefault(kind, []).append(f"`Rejected({reason})`")
    for error in _below(MFAError):
        if error is not Rejected and error.__module__ == "twofold.errors":
            raised.setdefault(problems.of_class(error), []).append(f"`{error.__name__}`")
    raised[problems.UNKNOWN] = ["`DatabaseUnavailable` at the COMMIT"]
    raised[problems.ERRORS[MFAError]] = ["whatever is not listed here"]
    for kind, by in sorted(raised.items(), key=lambda item: item[0]):
        yield f"| `{kind.reason}` | {kind.status} | {kind.title} | {', '.join(by)} |"


def _below(error: type[MFAError]) -> Iterator[type[MFAError]]:
    for child in error.__subclasses__():
        yield child
        yield from _below(child)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    FILE.write_text(description(), encoding="utf-8")
    typescript.FILE.write_text(typescript.source(), encoding="utf-8")
