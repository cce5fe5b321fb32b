"""The description of the JSON door for clients (OpenAPI 3.1), made from the table of operations and their models.

`openapi("/mfa")` is the whole document, for any framework; `addition` is what a framework that describes itself adds to
its own. Both say the same.
"""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from twofold.web.api import models
from twofold.web.api.door import PREFIX
from twofold.web.api.operations import OPERATIONS, Operation
from twofold.web.visit import SignedIn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twofold.web.problems import Kind

TAG = "mfa"
"""Under which a description lists the operations."""

_REF = "#/components/schemas/{model}"
_HEADERS = {
    "X-CSRF-Token": "The `csrf_token` of the session, which `status` tells. Not for a bearer session.",
    "Twofold-Proof": "Of an app: the last `proof` that it was given, where the application keeps none.",
    "Twofold-Device": "Of an app: the token of the device, by which `is_this` is told.",
}


def openapi(prefix: str = "") -> dict[str, Any]:
    """The whole description, of the door below this prefix."""
    described: dict[str, Any] = {}
    for operation in OPERATIONS:
        one = described.setdefault(f"{prefix}{PREFIX}{operation.path}", {})
        one[operation.method.lower()] = {"operationId": operation.name, **_described(operation)} | _links(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Twofold",
            "version": version("twofold"),
            "description": "The second factor of an account, for a page's script or an app.",
        },
        "paths": described,
        "components": {"schemas": deepcopy(_schemas())},
    }


def addition(operation: Operation) -> dict[str, Any]:
    """What one operation adds to the description that a framework makes of itself; its schemas stand in it whole.

    The tag is the route's own.
    """
    found: dict[str, Any] = _whole(_described(operation), _schemas())
    del found["tags"]
    return found


def _described(operation: Operation) -> dict[str, Any]:
    told = {
        "tags": [TAG],
        "summary": operation.name.replace("_", " ").capitalize(),
        "description": operation.summary,
        "parameters": list(_parameters(operation)),
        "responses": _responses(operation),
    }
    if operation.takes is not models.Nothing:
        content = {"application/json": {"schema": {"$ref": _REF.format(model=operation.takes.__name__)}}}
        told["requestBody"] = {"required": True, "content": content}
    return told


def _parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", operation.path):
        whole = {"type": "integer", "minimum": 1, "maximum": 2**53}
        yield {"name": name, "in": "path", "required": True, "schema": whole}
    for one in operation.query:
        schema = {"type": "integer", "minimum": one.least, "maximum": one.most}
        yield {"name": one.name, "in": "query", "required": False, "description": one.told, "schema": schema}
    names = [] if operation.is_safe else ["X-CSRF-Token"]
    if SignedIn in operation.audience:
        names.append("Twofold-Proof")
    if operation.name == "devices":
        names.append("Twofold-Device")
    for name in names:
        header = {"name": name, "in": "header", "required": False, "description": _HEADERS[name]}
        yield {**header, "schema": {"type": "string"}}


def _responses(operation: Operation) -> dict[str, Any]:
    answered = {"$ref": _REF.format(model=operation.gives.__name__)}
    found: dict[str, Any] = {"200": {"description": "Done.", "content": {"application/json": {"schema": answered}}}}
    by_status: dict[int, list[Kind]] = {}
    for problem in operation.problems:
        by_status.setdefault(problem.status, []).append(problem)
    for status, problems in by_status.items():
        content = {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}}
        told = "\n".join(f"- `{problem.reason}`: {problem.title}" for problem in problems)
        found[str(status)] = {"description": told, "content": content}
        if status in {429, 503}:
            seconds = {"description": "Seconds.", "schema": {"type": "integer"}}
            found[str(status)]["headers"] = {"Retry-After": seconds}
        if status == 401:
            asking = {"description": "How to come in (RFC 9470).", "schema": {"type": "string"}}
            found[str(status)]["headers"] = {"WWW-Authenticate": asking}
    return found


def _links(operation: Operation) -> dict[str, Any]:
    """Where an answer leads on to: from a list to each that it lists."""
    if operation.name not in {"devices", "passkeys"}:
        return {}
    one = operation.name.removesuffix("s")
    listed = {f"{one}_id": f"$response.body#/{operation.name}/0/id"}
    links = {name: {"operationId": name, "parameters": listed} for name in (f"rename_{one}", f"revoke_{one}")}
    responses = _responses(operation)
    return {"responses": {**responses, "200": {**responses["200"], "links": links}}}


@cache
def _schemas() -> dict[str, Any]:
    """Every schema by its name, which nobody may change: an application asks for them once an operation."""
    taken = {one.takes for one in OPERATIONS if one.takes is not models.Nothing}
    given = {*(one.gives for one in OPERATIONS), models.Problem}
    listed = [
        *((model, "validation") for model in sorted(taken, key=str)),
        *((model, "serialization") for model in sorted(given, key=str)),
    ]
    _, found = models_json_schema(listed, ref_template=_REF)  # type: ignore[arg-type]
    schemas: dict[str, Any] = _told(dict(sorted(found["$defs"].items())))
    return schemas


def _told(part: Any) -> Any:
    """The part without defaults that are null: they say nothing, and frameworks leave them out."""
    if isinstance(part, dict):
        return {name: _told(value) for name, value in part.items() if not (name == "default" and value is None)}
    return [_told(one) for one in part] if isinstance(part, list) else part


def _whole(part: Any, schemas: Mapping[str, Any]) -> Any:
    """The part with the schemas that it refers to in their places."""
    if isinstance(part, dict):
        if "$ref" in part:
            rest = {name: value for name, value in part.items() if name != "$ref"}
            return {**_whole(schemas[part["$ref"].rpartition("/")[2]], schemas), **rest}
        return {name: _whole(value, schemas) for name, value in part.items()}
    return [_whole(one, schemas) for one in part] if isinstance(part, list) else part
