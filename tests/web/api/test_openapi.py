"""The description for clients: valid, the same in the host's own, and held to by every answer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import Depends, FastAPI
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.web.api.documented import FILE
from twofold.web.api.openapi import openapi
from twofold.web.fastapi import api_router

if TYPE_CHECKING:
    from tests.web.api.host import Host
    from twofold import MFA

pytestmark = pytest.mark.backends("sqlite")


def whole(part: Any, schemas: dict[str, Any]) -> Any:
    """A description with each reference replaced by what it names, without what only one of the two can say."""
    if isinstance(part, dict):
        if "$ref" in part:
            return whole(schemas[part["$ref"].rpartition("/")[2]], schemas)
        return {name: whole(value, schemas) for name, value in part.items() if name not in {"operationId", "links"}}
    return [whole(one, schemas) for one in part] if isinstance(part, list) else part


def test_it_is_one() -> None:
    OpenAPIV31SpecValidator(openapi("/mfa")).validate()
    OpenAPIV31SpecValidator(json.loads(FILE.read_text(encoding="utf-8"))).validate()


def test_the_host_describes_the_operations_as_the_file_does(app: FastAPI) -> None:
    ours, theirs = openapi("/mfa"), app.openapi()
    OpenAPIV31SpecValidator(theirs).validate()
    expected = whole(ours["paths"], ours["components"]["schemas"])
    assert whole(theirs["paths"], theirs.get("components", {}).get("schemas", {})) == expected
    assert (
        len(re.findall(r'"operationId"', json.dumps(theirs)))
        == len(re.findall(r'"operationId": ', json.dumps(ours))) - 4
    )


def test_two_doors_in_one_application_are_told_apart(mfa: MFA, host: Host) -> None:
    def named(tenant: str) -> str:
        return tenant

    app = FastAPI()
    app.include_router(api_router(mfa, host), prefix="/customers/mfa")
    app.include_router(api_router(mfa, host), prefix="/staff/{tenant}/mfa", dependencies=[Depends(named)])
    found = app.openapi()
    OpenAPIV31SpecValidator(found).validate()
    names = re.findall(r'"operationId": "(\w+)"', json.dumps(found))
    assert len(names) == len(set(names))
