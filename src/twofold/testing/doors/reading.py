"""Read the routes of FastAPI, Starlette and Flask out of the application itself, so that none is forgotten."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from twofold.testing.doors.route import Route, Routes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What a browser asks by itself, or a framework answers by itself, for each GET.
_FOR_FREE: Final = {"HEAD", "OPTIONS"}
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_OF_STARLETTE: Final = re.compile(r"{(\w+)(?::(\w+))?}")
_OF_FLASK: Final = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")


def routes_of(app: Any) -> Routes:
    """Find every route. Raises TypeError for an application of a framework that is not known here."""
    if hasattr(app, "url_map"):
        found: Iterable[Route | str] = _flask(app)
    elif hasattr(app, "routes"):
        found = _starlette(app.routes, "")
    else:
        raise TypeError(f"doors reads FastAPI, Starlette and Flask, not {type(app).__name__}.")
    each = list(found)
    # Unsafe methods come last: they may change what the others are asked of.
    routes = sorted(
        {one.name: one for one in each if isinstance(one, Route)}.values(), key=lambda one: one.method != "GET"
    )
    return Routes(tuple(routes), tuple(one for one in each if isinstance(one, str)))


def _starlette(routes: Any, prefix: str) -> Iterator[Route | str]:
    from starlette.routing import Host, WebSocketRoute

    for route in _included(routes):
        path = prefix + str(getattr(route, "path", None) or "")
        kind = getattr(route, "original_route", route)
        if isinstance(kind, WebSocketRoute):
            yield f"WEBSOCKET {path}"
        elif isinstance(kind, Host):
            yield f"HOST {kind.host}"
        elif inner := getattr(route, "routes", None):
            yield from _starlette(inner, path)
        elif hasattr(route, "endpoint") and route.endpoint is not None:
            kinds = {name: of or "str" for name, of in _OF_STARLETTE.findall(path)}
            for method in sorted(set(route.methods or _methods(route.endpoint)) - _FOR_FREE):
                yield Route(method, _OF_STARLETTE.sub(r"{\1}", path), kinds)
        else:
            yield f"MOUNT {path or '/'}"


def _methods(endpoint: Any) -> list[str]:
    """What a class of endpoints answers to; an application in the place of one may answer to anything."""
    return [method for method in _METHODS if hasattr(endpoint, method.lower())] or [*_METHODS]


def _included(routes: Any) -> Iterable[Any]:
    """Routes with those of included routers, which newer versions of FastAPI keep apart."""
    contexts: Any = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", iter)
    found: Iterable[Any] = contexts(routes)
    return found


def _flask(app: Any) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        kinds = {name: kind or "str" for kind, name in _OF_FLASK.findall(rule.rule)}
        for method in sorted(set(rule.methods or ()) - _FOR_FREE):
            yield Route(method, _OF_FLASK.sub(r"{\2}", rule.rule), kinds)
