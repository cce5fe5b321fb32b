"""What happens to the cookie of a trusted browser, as stories that are played over HTTP and stand in the documentation.

`python -m tests.web.stories` writes docs/security/trusted-devices.md.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import httpx2
import sqlalchemy as sa

from tests.attacks.rows import Tables
from tests.databases import ROOT
from tests.people import FIREFOX, SAFARI
from tests.visitors import PASSWORD, Ada, Browser

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.people import Clock
    from twofold import MFA, Request

PAGE = ROOT / "docs" / "security" / "trusted-devices.md"

Ending = Literal["trusted", "contested", "revoked"]


class Line:
    """The line between browser and server, which breaks when the application has done all of its work."""

    def __init__(self, app: Any) -> None:
        self.app, self.is_cut = app, False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, or let nothing of the answer through but the promise of one."""
        if not self.is_cut:
            await self.app(scope, receive, send)
            return

        async def swallow(_message: Any) -> None:
            """Send nothing."""

        await self.app(scope, receive, swallow)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


@dataclass
class Scene:
    """Ada, who trusts her browser, and whoever else comes to the sample."""

    url: str
    line: Line
    clock: Clock
    engine: sa.Engine
    mfa: MFA
    asked: list[str] = field(default_factory=list[str])
    clients: list[httpx2.Client] = field(default_factory=list[httpx2.Client])

    def __post_init__(self) -> None:
        self.owner = self.person(FIREFOX)
        self.owner.register()
        self.owner.enroll()
        self.user_id = self.id_of(self.owner)
        self.sign_out_and_trust(self.owner)
        self.begun = self.mfa.events.recent(self.user_id, limit=1)[0].seq

    def person(self, request: Request, email: str = "ada@example.com") -> Ada:
        """Somebody at a browser of their own."""
        client = httpx2.Client(base_url=self.url, trust_env=False, timeout=30)
        self.clients.append(client)
        client.headers["user-agent"] = request.user_agent or ""
        return Ada(Browser(client), self.clock, email=email)

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def id_of(self, person: Ada) -> int:
        with self.engine.connect() as connection:
            found = connection.execute(sa.text("SELECT id FROM users WHERE subject = :of"), {"of": person.email})
            return int(found.scalar_one())

    def thief(self, request: Request = FIREFOX) -> Ada:
        """Somebody who has copied the owner's cookies, and has the password too."""
        thief = self.person(request)
        thief.browser.put_back(self.owner.browser.profile())
        return thief

    def sign_out_and_trust(self, person: Ada) -> None:
        """Sign in with a code, trust the browser, and sign out."""
        person.sign_out()
        person.sign_in()
        self.trust(person)

    def trust(self, person: Ada) -> None:
        """Answer the challenge that is shown, with the tick."""
        answer = person.browser.post("/mfa/challenge", code=person.code(), trust_device="yes")
        assert answer.headers["location"] == "/"
        person.sign_out()

    def comes(self, person: Ada, who: str = "the owner") -> None:
        """Sign in with the password, see whether a code is asked for, and go."""
        self.clock.forward(minutes=2)
        self.signs_in(person, who)

    def signs_in(self, person: Ada, who: str) -> None:
        """Sign in, give up where a code is asked for, and sign out again."""
        location = person.sign_in().headers["location"]
        assert location in {"/", "/mfa/challenge"}
        if location == "/":
            person.sign_out()
        else:
            self.asked.append(who)
            person.browser.post("/mfa/challenge/cancel")

    def loses_the_answer(self) -> None:
        """The owner signs in, and the line breaks before anything of the answer has come."""
        browser = self.owner.browser
        browser.get("/login")
        self.line.is_cut = True
        try:
            with suppress(httpx2.RemoteProtocolError):
                browser.client.post(
                    "/login", data={"csrf": browser.csrf, "email": self.owner.email, "password": PASSWORD}
                )
                raise AssertionError("An answer came.")
        finally:
            self.line.is_cut = False

    def told(self) -> list[str]:
        """What the log says of the device, apart from each time that it was recognized."""
        events = reversed(self.mfa.events.recent(self.user_id, limit=100))
        return [e.kind for e in events if e.seq > self.begun and "device" in e.kind and e.kind != "device_recognized"]

    def ending(self) -> Ending:
        """How the owner's device stands at the end. There is one row, whatever happened."""
        (device,) = self.mfa.trusted_devices.list(self.user_id)
        if device.revoked_at is not None:
            return "revoked"
        assert device.is_active is not device.is_contested
        return "trusted" if device.is_active else "contested"

    def security_page(self) -> str:
        """What the owner reads after signing in once more, with a backup code where one is asked for."""
        self.clock.forward(minutes=2)
        if self.owner.sign_in().headers["location"] == "/mfa/challenge":
            self.owner.browser.post("/mfa/challenge", code=self.owner.backup_codes.pop())
        return self.owner.browser.get("/mfa/security").text.replace("\u00a0", " ")


class Story(NamedTuple):
    """What happens, who is asked for a code, how the device ends, what the log tells, and what the owner reads."""

    title: str
    play: Callable[[Scene], None]
    asked: tuple[str, ...]
    ending: Ending
    told: tuple[str, ...]
    reads: tuple[str, ...]
    is_a_race: bool = False


OLD, COPIED = (
    "An old mark of trust of Firefox on Linux came, and the second step was asked for",
    "Two browsers came as Firefox on Linux, so its mark of trust was copied",
)
ANEW = "Firefox on Linux is trusted anew"


def lost_for_seconds(scene: Scene) -> None:
    scene.loses_the_answer()
    scene.clock.forward(seconds=20)
    scene.signs_in(scene.owner, "the owner")
    assert scene.asked == []
    scene.comes(scene.owner)


def lost(scene: Scene) -> None:
    scene.loses_the_answer()
    scene.comes(scene.owner)


def lost_and_trusted_again(scene: Scene) -> None:
    scene.loses_the_answer()
    scene.clock.forward(minutes=2)
    assert scene.owner.sign_in().headers["location"] == "/mfa/challenge"
    scene.asked.append("the owner")
    scene.trust(scene.owner)
    scene.comes(scene.owner)


def crash(scene: Scene) -> None:
    kept = scene.owner.browser.profile()
    scene.comes(scene.owner)
    scene.owner.browser.put_back(kept)
    scene.comes(scene.owner)


def backup(scene: Scene) -> None:
    kept = scene.owner.browser.profile()
    for _ in range(3):
        scene.clock.forward(days=1)
        scene.comes(scene.owner)
    scene.owner.browser.put_back(kept)
    scene.comes(scene.owner)
    scene.comes(scene.owner)


def two_tabs(scene: Scene) -> None:
    browser = scene.owner.browser
    browser.get("/login")
    form = {"csrf": browser.csrf, "email": scene.owner.email, "password": PASSWORD}
    tabs = [scene.thief() for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(tab.browser.client.post, "/login", data=form) for tab in tabs]
    scene.asked += ["the owner" for answer in answers if answer.result().headers["location"] != "/"]
    # One of the two answers brings the next token, and the other one leaves the cookie alone.
    (given,) = (tab for tab in tabs if tab.browser.devices() != browser.devices())
    browser.put_back(given.browser.profile())
    scene.owner.sign_out()
    scene.comes(scene.owner)


def two_people(scene: Scene) -> None:
    grace = Ada(scene.owner.browser, scene.clock, email="grace@example.com")
    grace.register()
    grace.enroll()
    scene.sign_out_and_trust(grace)
    for _ in range(2):
        scene.comes(scene.owner)
        scene.comes(grace, "the other one")
    grace.sign_in()
    scene.mfa.trusted_devices.revoke_all(scene.id_of(grace))
    grace.sign_out()
    scene.comes(grace, "the other one")
    scene.comes(scene.owner)


def failover(scene: Scene) -> None:
    tables = Tables(scene.engine)
    before = tables.read([scene.user_id])[scene.user_id]
    scene.comes(scene.owner)
    for name in reversed([*tables.columns]):
        tables.take(name, scene.user_id)
    for name in tables.columns:
        for row in sorted(before[name], key=lambda row: int(row[0])):
            tables.put(name, row)
    tables.close()
    scene.comes(scene.owner)
    scene.comes(scene.owner)


def thief_before(scene: Scene) -> None:
    thief = scene.thief()
    scene.comes(thief, "the thief")
    scene.comes(scene.owner)
    scene.comes(thief, "the thief")
    scene.comes(scene.owner)


def thief_before_and_trusted_again(scene: Scene) -> None:
    thief = scene.thief()
    scene.comes(thief, "the thief")
    scene.clock.forward(minutes=2)
    assert scene.owner.sign_in().headers["location"] == "/mfa/challenge"
    scene.asked.append("the owner")
    scene.trust(scene.owner)
    scene.comes(thief, "the thief")
    scene.comes(scene.owner)


def thief_after(scene: Scene) -> None:
    thief = scene.thief()
    scene.comes(scene.owner)
    scene.comes(thief, "the thief")
    scene.comes(scene.owner)
    scene.comes(thief, "the thief")


def thief_elsewhere(scene: Scene) -> None:
    thief = scene.thief(SAFARI)
    scene.comes(thief, "the thief")
    scene.comes(scene.owner)


STORIES = (
    Story(
        "An answer is lost, and the browser comes back within the minute, and once more later.",
        lost_for_seconds,
        ("the owner",),
        "contested",
        ("device_contested",),
        (OLD,),
    ),
    Story(
        "An answer is lost, and the browser comes back later.",
        lost,
        ("the owner",),
        "contested",
        ("device_contested",),
        (OLD,),
    ),
    Story(
        "The same, and the owner ticks that the browser is trusted when the code is given.",
        lost_and_trusted_again,
        ("the owner",),
        "trusted",
        ("device_contested", "device_trusted"),
        (OLD, ANEW),
    ),
    Story(
        "The browser crashes before it has kept the cookie.",
        crash,
        ("the owner",),
        "contested",
        ("device_contested",),
        (OLD,),
    ),
    Story(
        "The browser's profile is brought back from a backup.",
        backup,
        ("the owner", "the owner"),
        "contested",
        ("device_contested",),
        (OLD,),
    ),
    Story("Two tabs sign in at once.", two_tabs, (), "trusted", (), (), is_a_race=True),
    Story(
        "Two people share the browser, and one of them ends all trust.",
        two_people,
        ("the other one",),
        "trusted",
        (),
        (),
    ),
    Story(
        "The database fails over, and has forgotten the last second.",
        failover,
        ("the owner", "the owner"),
        "contested",
        ("device_contested",),
        (OLD,),
        is_a_race=True,
    ),
    Story(
        "A thief comes before the owner, who gives a code and trusts nothing.",
        thief_before,
        ("the owner", "the thief", "the owner"),
        "revoked",
        ("device_contested", "device_theft"),
        (OLD, COPIED),
        is_a_race=True,
    ),
    Story(
        "A thief comes before the owner, who trusts the browser again.",
        thief_before_and_trusted_again,
        ("the owner", "the thief"),
        "trusted",
        ("device_contested", "device_trusted"),
        (OLD, ANEW),
        is_a_race=True,
    ),
    Story(
        "A thief comes after the owner.",
        thief_after,
        ("the thief", "the owner", "the thief"),
        "revoked",
        ("device_contested", "device_theft"),
        (OLD, COPIED),
        is_a_race=True,
    ),
    Story(
        "A thief brings the cookie in a browser of another kind.", thief_elsewhere, ("the thief",), "trusted", (), ()
    ),
)

_HEAD = """\
# What happens to the cookie of a trusted browser

Each use gives the browser another token. So where its cookie is an old one, something went wrong: an answer was lost, a
copy was brought back, or somebody copied the cookie. This page tells each of these stories: who is asked for a code,
how the device stands at the end, and what the log and the owner's page say. Under "asked for a code" stands everybody
who is, in their order; all others get in with the password alone. A thief has the cookie and the password.

| what happens | asked for a code | the device is | in the log | on the owner's page |
|---|---|---|---|---|
"""

_TAIL = """
- `trusted`: the next time no code is asked for. `contested`: a code is asked for until the browser is trusted again,
  and the security page says so at the device. `revoked`: it is at an end.
- `device_theft` is an alarm. It is raised where the newest token comes after an old one, for which there have to be two
  copies of the cookie. Where the owner trusts the browser again before the thief comes back, the thief's copy ends at
  that moment, and the thief is asked for a code like anybody else. No alarm is raised then: `device_contested` is the
  line that tells.
- A thief who comes before the owner gets in by one factor until the owner has come: see the
  [threat model](threat-model.md#a-thief-of-a-trusted-browser).
- One browser holds the cookies of twenty people. When one more trusts it, the one that it has had for longest goes, and
  that person is asked for a code.

Each row is played over HTTP, against the sample behind a web server, on SQLite; the tabs, the failover and the thieves
who use the cookie on PostgreSQL and MariaDB too: `tests/web/test_device_stories.py`. `python -m tests.web.stories`
makes this page out of the stories; a test fails while it differs.
"""


def page() -> str:
    """The page as it has to be."""
    return _HEAD + "".join(_row(story) for story in STORIES) + _TAIL


def _row(story: Story) -> str:
    asked = ", then ".join(story.asked) or "nobody"
    told = ", ".join(f"`{kind}`" for kind in story.told) or "-"
    return f"| {story.title} | {asked} | {story.ending} | {told} | {'; '.join(story.reads) or '-'} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
