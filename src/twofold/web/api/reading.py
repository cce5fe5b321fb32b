"""Read what was sent: strict JSON, in the form that the operation takes. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import ValidationError

from twofold.web import forms, problems
from twofold.web.api.answers import Mistake
from twofold.web.api.models import At, Nothing, Taken

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T", bound=Taken)


def body(takes: type[T], headers: Mapping[str, str], sent: bytes) -> T:
    """Read a body. Raises Mistake for anything but one small JSON object of this form that names each field once."""
    if len(sent) > forms.LIMIT:
        raise Mistake(problems.TOO_LONG)
    if not sent and issubclass(takes, Nothing):
        return takes()
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Mistake(problems.NO_JSON, headers={"Accept": "application/json"})
    found = _parsed(sent)
    try:
        return takes.model_validate(found)
    except ValidationError as error:
        raise _misfit(error) from None


def number(query: Mapping[str, str], name: str, *, least: int, most: int) -> int | None:
    """A whole number of the query; None where it is not there. Raises Mistake."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19 and least <= int(text) <= most):
        raise Mistake(
            problems.MALFORMED_JSON, errors=[At(at=name, problem=f"It is a whole number from {least} to {most}.")]
        )
    return int(text)


def _parsed(sent: bytes) -> Any:
    try:
        return json.loads(sent.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except _Twice:
        raise Mistake(problems.MALFORMED_JSON, errors=[At(at="", problem="A field is named twice.")]) from None
    except (ValueError, RecursionError):
        raise Mistake(problems.MALFORMED_JSON, errors=[At(at="", problem="It is no JSON.")]) from None


class _Twice(ValueError):
    """Which of two fields counts, no two readers agree on."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


def _no_number(_name: str) -> NoReturn:
    raise ValueError("JSON knows no NaN and no Infinity")


def _misfit(error: ValidationError) -> Mistake:
    """What does not fit, and where. Nothing of what was sent is repeated, since a code may be in the wrong place."""
    found = [
        At(at="", problem="There is a field that this operation does not take.")
        if one["type"] == "extra_forbidden"
        else At(at="".join(f"/{part}" for part in one["loc"]), problem=f"{one['msg']}.")
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return Mistake(problems.MALFORMED_JSON, errors=found)
