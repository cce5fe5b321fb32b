"""A walk over a host finds every hole that is planted into it, and none where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from tests.testing.company import MAKES, Company, People
from twofold.testing import doors

if TYPE_CHECKING:
    from starlette.requests import Request

    from twofold.testing.doors import Doors

PUBLIC: Final = ["GET /", "GET /login", "POST /login", "POST /logout", "GET /callback", "POST /reset"]
FRAMEWORKS: Final = {
    "starlette": ["WEBSOCKET /socket"],
    "fastapi": ["GET /docs*", "GET /redoc", "GET /openapi.json"],
    "flask": ["GET /static/{filename}"],
}
# Nobody has what it takes without a second factor.
CLOSED: Final = ["POST /api/token"]
WAYS: Final = {
    "remember": "remember me",
    "token": "the API's token",
    "reset": "the reset",
    "oauth": "the provider",
}


@pytest.fixture(params=MAKES)
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def walked(framework: str, *holes: str, **options: Any) -> Doors:
    company = Company(frozenset(holes))
    people = People(company, MAKES[framework](company))
    given: dict[str, Any] = {name: getattr(people, name) for name in ("nobody", "waiting", "trusted", "stale", "fresh")}
    given |= {"asks": ["/login", "/code", "/again"], "examples": {"item_id": 7}, "gives_out": people.gives_out()}
    return doors.walk(people.app, **given | options)


def check(found: Doors, framework: str, **options: Any) -> None:
    meant: dict[str, Any] = {
        "public": PUBLIC,
        "waiting": ["GET /code", "POST /code"],
        "fresh": ["POST /password", "POST /email"],
        "left_out": [*FRAMEWORKS[framework], *CLOSED],
    }
    found.check(**meant | options)


def test_a_host_without_a_hole_is_told_so(framework: str) -> None:
    found = walked(framework)
    check(found, framework)
    assert found.go_round == set()
    assert found.of("GET /account").opens_to == {"trusted", "stale", "fresh"}
    assert found.of("GET /items/{item_id}").opens_to == {"trusted", "stale", "fresh"}
    assert found.of("GET /export").opens_to == {"trusted", "stale", "fresh"}
    assert found.of("POST /password").opens_to == {"fresh"}
    assert found.of("GET /").opens_to == {"nobody", "waiting", "trusted", "stale", "fresh"}

    ours = {name for name in found.doors if not any(name.startswith(one.strip("*")) for one in FRAMEWORKS[framework])}
    assert ours == set(Company().handlers)


@pytest.mark.by_turns
@pytest.mark.parametrize("hole", WAYS)
def test_what_is_given_out_without_a_second_factor_is_tried_and_found(framework: str, hole: str) -> None:
    found = walked(framework, hole, waiting=None, trusted=None, stale=None)
    assert found.go_round == {WAYS[hole]}
    with pytest.raises(AssertionError, match=f"{WAYS[hole]}: goes round the second factor: GET /account with its "):
        check(found, framework)


@pytest.mark.by_turns
@pytest.mark.parametrize(
    ("hole", "route", "opens"),
    [
        ("admin", "GET /admin", "nobody, waiting"),
        ("half", "GET /export", "waiting"),
        ("stale", "POST /email", "trusted, stale"),
    ],
)
def test_a_route_that_opens_to_too_many_is_found(framework: str, hole: str, route: str, opens: str) -> None:
    with pytest.raises(AssertionError, match=f"^{route}: opens to {opens}\n\n"):
        check(walked(framework, hole), framework)


def test_all_that_is_wrong_is_said_at_once_with_the_table() -> None:
    found = walked("fastapi", *WAYS, "admin", "half", "stale")
    with pytest.raises(AssertionError) as caught:
        check(found, "fastapi", public=[*PUBLIC, "GET /gone"])
    said = str(caught.value)
    for line in (
        *WAYS.values(),
        "GET /admin: opens",
        "GET /export: opens",
        "POST /email: opens",
        "GET /gone: there is no",
    ):
        assert line in said
    table = str(found).splitlines()
    assert table[0].split() == ["nobody", "waiting", "trusted", "stale", "fresh"]
    (row,) = [line for line in table if line.startswith("GET /admin ")]
    assert row.split() == ["GET", "/admin", *["OPENS", "200"] * 5]
    (row,) = [line for line in table if line.startswith("POST /password ")]
    assert row.endswith("  OPENS 422")


def test_what_cannot_be_tried_or_judged_has_to_be_looked_at() -> None:
    found = walked("starlette")
    assert found.untried == ("WEBSOCKET /socket",)
    with pytest.raises(AssertionError, match="WEBSOCKET /socket: cannot be tried"):
        check(found, "starlette", left_out=CLOSED)
    with pytest.raises(AssertionError, match="POST /api/token: nothing was learnt"):
        check(found, "starlette", left_out=["WEBSOCKET *"])


def test_what_a_route_needs_can_be_sent() -> None:
    asked: list[Any] = []

    def with_a_token(client: Any) -> dict[str, Any]:
        asked.append(client)
        return {"json": {"link": "nobody's"}}

    found = walked("starlette", sends={"POST /reset": with_a_token, "POST /login": {"json": {"password": "x"}}})
    assert len(asked) == 5
    assert found.of("POST /reset").opens_to == {"nobody", "waiting", "trusted", "stale", "fresh"}


def test_a_redirect_that_nobody_named_counts_as_open() -> None:
    found = walked("flask", asks=["/code", "/again"])
    assert "nobody" in found.of("GET /account").opens_to


def test_a_route_that_fails_was_reached_and_one_that_is_busy_says_nothing() -> None:
    def fails(_request: Any) -> Response:
        raise LookupError("nobody")

    app = Starlette(
        routes=[
            Route("/fails", fails),
            Route("/busy", lambda _: Response(status_code=429)),
            Route("/gone", lambda _: Response(status_code=404)),
        ]
    )
    app.mount("/files", StaticFiles(directory="/tmp"))
    found = doors.walk(app, nobody=lambda: TestClient(app), fresh=lambda: TestClient(app))
    assert found.of("GET /fails").opens_to == {"nobody", "fresh"}
    assert found.of("GET /busy").is_unknown
    assert found.of("GET /gone").is_unknown
    assert found.untried == ("MOUNT /files",)
    assert "OPENS LookupError" in str(found)


def test_a_token_is_tried_on_routes_that_take_no_session() -> None:
    """An interface for programs has guards of its own, and nobody's session opens it."""
    token = "a-token-for-the-password"

    async def page(request: Request) -> Response:
        return Response(status_code=200 if request.cookies.get("session") else 401)

    async def programs(request: Request) -> Response:
        return Response(status_code=200 if request.headers.get("authorization") == f"Bearer {token}" else 401)

    async def gives(_: Request) -> Response:
        return JSONResponse({"token": token})

    routes = [Route("/page", page), Route("/api/me", programs), Route("/api/token", gives, methods=["POST"])]
    app = Starlette(routes=routes)

    def fresh() -> TestClient:
        return TestClient(app, cookies={"session": "ada"})

    found = doors.walk(
        app,
        nobody=lambda: TestClient(app),
        fresh=fresh,
        gives_out={"a token": lambda client: client.post("/api/token")},
    )
    assert found.of("GET /api/me").opens_to == set()
    assert found.ways["a token"].opened == ("GET /api/me with its token",)


def test_where_nothing_opens_to_a_fresh_session_alone_nothing_is_claimed() -> None:
    app = Starlette(routes=[Route("/", lambda _: Response())])
    found = doors.walk(
        app,
        nobody=lambda: TestClient(app),
        fresh=lambda: TestClient(app),
        gives_out={"the login": lambda client: client.get("/")},
    )
    with pytest.raises(AssertionError, match=r"^the login: cannot be tried"):
        found.check(public=["GET /"])


def test_an_application_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="FastAPI, Starlette and Flask, not object"):
        doors.walk(object(), nobody=object, fresh=object)
