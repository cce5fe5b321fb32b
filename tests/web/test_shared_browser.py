"""People who share a browser, and applications that share a host: each has a cookie of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from tests.people import Enrolment, add_user, enroll, log_in, plain_settings
from tests.visitors import Ada, Browser
from twofold import MFA
from twofold.keyring import generate_key
from twofold.trusted_devices.cookie import MOST
from twofold.web.fastapi import device_token, forget_device, keep_device

if TYPE_CHECKING:
    from starlette.requests import Request

    from tests.databases import Database, Sources
    from tests.people import Clock


@pytest.fixture
def both(enrolled: Ada, clock: Clock) -> tuple[Ada, Ada]:
    """Ada and Grace at one browser, which both of them trust."""
    grace = Ada(enrolled.browser, clock, email="grace@example.com")
    enrolled.sign_out()
    grace.register()
    grace.enroll()
    for person in (grace, enrolled):
        person.sign_out()
        person.sign_in()
        assert person.browser.post("/mfa/challenge", code=person.code(), trust_device="yes").status_code == 303
    return enrolled, grace


@pytest.mark.requirement("R72", "R78")
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/mfa/disable", {"sure": "yes"}),
        ("/mfa/devices/revoke-all", {}),
        ("/mfa/setup/confirm", {}),
    ],
)
def test_what_one_person_does_leaves_the_trust_of_another_alone(
    both: tuple[Ada, Ada], path: str, fields: dict[str, str]
) -> None:
    ada, grace = both
    assert len(ada.browser.devices()) == 2
    ada.browser.get("/mfa/security")
    if path == "/mfa/setup/confirm":
        ada.phone = ada.begin()
        fields = {"code": ada.phone.code()}
    assert ada.browser.post(path, **fields).status_code in {200, 303}
    assert len(ada.browser.devices()) == 1
    for person in (grace, grace):
        ada.sign_out()
        assert person.sign_in().headers["location"] == "/"
        assert "on a trusted device" in person.browser.get("/").text


def test_two_who_sign_in_by_turns_are_asked_no_code(both: tuple[Ada, Ada]) -> None:
    for person in both * 2:
        person.sign_out()
        assert person.sign_in().headers["location"] == "/"
        person.clock.forward(hours=1)


def application(mfa: MFA, people: dict[int, Enrolment]) -> list[Route]:
    """A host of its own that says `asked` or `welcome`, trusts whoever types a code, and forgets on demand."""

    def log_in_(request: Request) -> Response:
        user_id = request.path_params["user_id"]
        challenge = mfa.challenge(user_id, device_token=device_token(mfa, request, user_id), request=request)
        response = PlainTextResponse("asked" if challenge else "welcome")
        keep_device(request, response, None if challenge else challenge.device)
        return response

    def trust(request: Request) -> Response:
        enrolment = people[request.path_params["user_id"]]
        code, *enrolment.backup_codes = enrolment.backup_codes  # type: ignore[assignment]
        device = mfa.trusted_devices.trust(log_in(mfa, enrolment.user_id, code), request=request)
        response = PlainTextResponse("trusted")
        keep_device(request, response, device)
        return response

    def forget(request: Request) -> Response:
        response = PlainTextResponse("forgotten")
        forget_device(mfa, request, response, request.path_params["user_id"])
        return response

    return [
        Route("/login/{user_id:int}", log_in_),
        Route("/trust/{user_id:int}", trust),
        Route("/forget/{user_id:int}", forget),
    ]


def inhabited(database: Database, clock: Clock, number: int, **settings: Any) -> list[Route]:
    mfa = MFA(database.engine(), plain_settings(keys=generate_key("k1"), **settings), clock=clock)
    users = [add_user(database, f"{each}@example.com") for each in range(number)]
    return application(mfa, {user_id: enroll(mfa, user_id, clock) for user_id in users})


def test_a_browser_in_a_lobby_holds_the_cookies_of_the_last_twenty(database: Database, clock: Clock) -> None:
    app = Starlette(routes=inhabited(database, clock, 50))
    browser = Browser(TestClient(app, base_url="https://testserver"))
    for user_id in range(1, 51):
        assert browser.client.get(f"/trust/{user_id}").text == "trusted"
        assert len(browser.devices()) == min(user_id, MOST)
    assert len("; ".join(f"{name}={value}" for name, value in browser.devices().items())) < 2100
    answers = [browser.client.get(f"/login/{user_id}").text for user_id in range(1, 51)]
    assert answers == ["asked"] * 30 + ["welcome"] * 20
    browser.client.get("/forget/50")
    assert [browser.client.get(f"/login/{user_id}").text for user_id in (49, 50)] == ["welcome", "asked"]


@pytest.mark.requirement("R72")
@pytest.mark.parametrize("names", [("twofold_device", "staff_device"), ("twofold_device", "twofold_device")])
def test_the_users_of_two_applications_on_one_host_keep_their_trust_where_the_cookies_have_two_names(
    databases: Sources, clock: Clock, names: tuple[str, str]
) -> None:
    with databases.database("sqlite", migrated=True) as customers, databases.database("sqlite", migrated=True) as staff:
        prefixes = {"/shop": customers, "/shop/staff": staff}
        mounts = [
            Mount(prefix, routes=inhabited(database, clock, 1, device_cookie=name))
            for (prefix, database), name in zip(prefixes.items(), names, strict=True)
        ]
        browser = Browser(TestClient(Starlette(routes=mounts[::-1]), base_url="https://testserver"))
        for prefix in prefixes:
            assert browser.client.get(f"{prefix}/trust/1").text == "trusted"
        answers = {browser.client.get(f"{prefix}/login/1").text for prefix in prefixes for _ in range(2)}
        # With one name for both, one of the two is asked for a code, and nothing worse comes of it.
        assert answers == ({"welcome"} if len(set(names)) == 2 else {"welcome", "asked"})
        lines = [event.kind for database in prefixes.values() for event in of(database, clock)]
        assert not {"device_contested", "device_theft"} & set(lines)


def of(database: Database, clock: Clock) -> list[Any]:
    """The lines of a database, read without its keys."""
    mfa = MFA(database.engine(), plain_settings(keys=generate_key("k1")), clock=clock)
    return list(mfa.events.export(limit=1000))
