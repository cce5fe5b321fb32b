"""An impatient person at the pages: clicks twice, reloads, goes back, types addresses, loses answers and tabs.

What the pages say is compared with the database after each thing that was done. Nothing is known here of how the pages
come from one to the next: links, buttons and fields are found on them, as a person does.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from playwright.sync_api import Error

from examples.sample import sessions
from tests.people import Phone
from tests.visitors import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    import sqlalchemy as sa
    from playwright.sync_api import BrowserContext, Locator, Page, Request, Response

    from tests.people import Clock
    from twofold import MFA

EMAIL = "ada@example.com"
OURS = "/mfa"
ADDRESSES = (
    "",
    "/",
    "/challenge",
    "/challenge?with=backup-code",
    "/challenge/cancel",
    "/reverify",
    "/reverify?next=setup",
    "/reverify?next=password&with=backup-code",
    "/setup",
    "/setup/",
    "/setup/begin",
    "/setup/confirm",
    "/security",
    "/security/",
    "/backup-codes",
    "/backup-codes/regenerate",
    "/backup-codes/download",
    "/disable",
    "/devices/revoke-all",
    "/devices/1/revoke",
    "/nowhere",
)
How = Literal["click", "twice", "enter", "late", "late and twice", "lost"]
HOW: tuple[How, ...] = get_args(How)
_CODE = re.compile(r"[0-9A-Z]{5}(?:-[0-9A-Z]{5}){4}")


class Line:
    """The line between browser and application, on which the next answer to a form may come late or never."""

    def __init__(self, app: Any, seconds: float = 0.0) -> None:
        self._app = app
        self.seconds = seconds
        self.is_lost = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        seconds, is_lost, self.is_lost = self.seconds, self.is_lost, False
        answer: list[Any] = []

        async def keep(message: Any) -> None:
            answer.append(message)

        await self._app(scope, receive, keep)
        await asyncio.sleep(seconds)
        if is_lost:
            words = b"<!doctype html><html lang=en><title>Bad gateway</title><h1>Bad gateway</h1>"
            headers = [(b"content-type", b"text/html"), (b"content-length", str(len(words)).encode())]
            answer = [
                {"type": "http.response.start", "status": 502, "headers": headers},
                {"type": "http.response.body", "body": words},
            ]
        for message in answer:
            await send(message)


@dataclass
class Impatient:
    """Ada, who has no time. `done` are the things that she did, the last one last."""

    context: BrowserContext
    url: str
    engine: sa.Engine
    mfa: MFA
    clock: Clock
    line: Line
    random: Random
    user_id: int
    seed: int
    phone: Phone | None = None
    codes: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    answered: Response | None = None
    leaves: bool = False
    has_asked: bool = False
    awaited: dict[Page, set[Request]] = field(default_factory=dict)
    page: Page = field(init=False)

    def __post_init__(self) -> None:
        self.page = self._open()

    def _open(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(10_000)
        page.set_default_navigation_timeout(30_000)
        awaited: set[Request] = set()
        self.awaited[page] = awaited

        def asked(request: Request) -> None:
            if request.is_navigation_request():
                awaited.add(request)
                self.has_asked = True

        def answered(request: Request) -> None:
            awaited.discard(request)

        page.on("request", asked)
        page.on("requestfinished", answered)
        page.on("requestfailed", answered)
        page.on("request", self._asked)
        page.on("response", self._seen)
        page.on("dialog", lambda dialog: dialog.accept())
        return page

    def _asked(self, request: Request) -> None:
        # The second click may meet what stands there on the next page, and that may be the way out.
        if request.method == "POST" and request.url.endswith(("/sign-out", "/cancel")):
            self.leaves = True

    def _seen(self, response: Response) -> None:
        request = response.request
        is_page = request.is_navigation_request() and "content-disposition" not in response.headers
        if is_page and response.frame.page == self.page and response.status not in {302, 303}:
            self.answered = response

    def step(self) -> None:
        """Do one thing, and look at what the page says."""
        deeds: list[tuple[int, Callable[[], None]]] = [
            (12, self.press),
            (4, self.follow),
            (2, self.reload),
            (2, self.back),
            (2, self.type_an_address),
            (1, self.go_to_the_security_page),
            (1, self.open_another_tab),
            (1, self.lose_the_tab),
            (2, self.let_time_pass),
        ]
        was_in, self.leaves = self.is_in(), False
        (deed,) = self.random.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])
        deed()
        self._arrive()
        if self._is_gone():
            self.reload()
            self.done[-1] = f"after the lost answer: {self.done[-1]}"
            self._arrive()
        if self._is_gone():
            self.type_an_address()
            self._arrive()
        if was_in and not self.leaves:
            heading = self.page.get_by_role("heading", name="Please sign in again")
            is_said = heading.or_(self.page.get_by_text("Your session has ended")).count()
            assert self.is_in() or is_said, self.told("a session is gone that nobody ended")
        self.look()

    def is_in(self) -> bool:
        """Whether the browser has a session, one that waits for its code included."""
        brought = {cookie.get("name"): cookie.get("value") for cookie in self.context.cookies()}
        return sessions.find(self.engine, brought.get("sample_session")) is not None

    def note(self, words: str) -> None:
        self.done.append(f"{words} -> ")

    def _arrive(self) -> None:
        self._settle()
        self.done[-1] += self.page.url.removeprefix(self.url)

    def _settle(self) -> None:
        """Wait until every page that was asked for is here: until then the old one stands there, and is out of date."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                self.page.wait_for_load_state("load")
                self.page.wait_for_timeout(60)
            except Error:
                continue
            if not self.awaited[self.page]:
                return
        raise AssertionError(f"No answer came within a minute: {self.page.url}")

    def _is_gone(self) -> bool:
        """Whether what the browser shows is not of the application: an answer that was lost, or its own error."""
        title = self.page.title()
        return title == "Bad gateway" or self.page.url.startswith(("chrome-error:", "about:"))

    def _visit(self, address: str) -> None:
        try:
            self.page.goto(address)
        except Error:
            # What was clicked before is still on its way.
            self.page.wait_for_timeout(500)
            self.page.goto(address)

    def _wait_for_a_request(self) -> None:
        """Wait until what was pressed asks for a page. What the browser or the script holds back never does."""
        end = time.monotonic() + 2
        while not self.has_asked and time.monotonic() < end:
            self.page.wait_for_timeout(20)

    def press(self) -> None:
        buttons = self.page.locator("main form button:visible, header form button:visible")
        if not (number := buttons.count()):
            self.follow()
            return
        button = buttons.nth(self.random.randrange(number))
        how: How = self.random.choice(HOW)
        words = (button.inner_text() or "").strip()
        form = button.locator("xpath=ancestor::form")
        action = form.get_attribute("action") or ""
        self.note(f"{how}: {words!r} {action}")
        self.has_asked = False
        self._fill(form, is_sent_by_itself=how == "enter")
        self.line.seconds = {"late": 2.0, "late and twice": self.random.choice((0.2, 0.5))}.get(how, 0.0)
        self.line.is_lost = how == "lost"
        try:
            if how == "enter" and form.locator("input[name=code]").count():
                form.locator("input[name=code]").press("Enter", no_wait_after=True)
            elif how in {"twice", "late and twice"}:
                button.dblclick(no_wait_after=True, delay=self.random.choice((0, 60)))
            else:
                button.click(no_wait_after=True)
        except Error:
            # The page went away under the finger: the form had sent itself.
            pass
        self._wait_for_a_request()
        self._settle()
        self.line.seconds, self.line.is_lost = 0.0, False

    def _fill(self, form: Locator, *, is_sent_by_itself: bool) -> None:
        for name in ("email", "password", "current"):
            for place in form.locator(f"input[name={name}]").all():
                place.fill(EMAIL if name == "email" else PASSWORD)
        for box in form.locator("input[type=checkbox]:visible").all():
            if box.get_attribute("required") is not None or self.random.random() < 0.5:
                box.check()
        places = form.locator("input[name=code]:visible")
        if not places.count():
            return
        code = self._code(self.page.url)
        self.done[-1] += f"[{code}] "
        # Typed key by key, the last digit sends the form; pasted, so does the paste.
        if is_sent_by_itself:
            places.first.press_sequentially(code)
        else:
            places.first.fill(code)

    def _code(self, url: str) -> str:
        phone = self.phone
        if "/setup" in url and self.page.locator("#secret").count():
            secret = "".join(self.page.locator("#secret span").all_text_contents())
            phone = Phone(secret, self.clock)
            if self.random.random() < 0.8:
                self.phone = phone
        choice = self.random.random()
        if "backup-code" in url and self.codes and choice < 0.8:
            return self.random.choice(self.codes)
        if phone is None or choice > 0.9:
            return self.random.choice(("123456", "12 34", "", "YJQAW-73NPP", "000000"))
        self.clock.forward(seconds=self.random.choice((0, 31, 61)))
        code = phone.code()
        return self.random.choice((code, code, f"{code[:3]} {code[3:]}"))

    def follow(self) -> None:
        links = self.page.locator("main a:visible, header a:visible, .below a:visible")
        targets = [
            one for one in links.all() if not (one.get_attribute("href") or "").startswith(("otpauth", "#", "mailto"))
        ]
        if not targets:
            self.type_an_address()
            return
        link = self.random.choice(targets)
        self.note(f"follow {link.get_attribute('href')}")
        self.has_asked = False
        link.click(no_wait_after=True)
        self._wait_for_a_request()

    def reload(self) -> None:
        self.note("reload")
        try:
            self.page.reload()
        except Error:
            self._visit(f"{self.url}{OURS}/security")

    def back(self) -> None:
        self.note("back")
        try:
            self.page.go_back()
        except Error:
            # The browser asks whether a form shall be sent again.
            self.reload()

    def type_an_address(self) -> None:
        address = self.random.choice((*(OURS + one for one in ADDRESSES), "/", "/password"))
        self.note(f"type {address}")
        self._visit(self.url + address)

    def go_to_the_security_page(self) -> None:
        self.note("security")
        self._visit(f"{self.url}{OURS}/security")

    def open_another_tab(self) -> None:
        if len(pages := self.context.pages) > 2:
            self.page = self.random.choice(pages)
            self.reload()
            self.done[-1] = f"in another tab: {self.done[-1]}"
            return
        self.page = self._open()
        self.type_an_address()
        self.done[-1] = f"in a new tab: {self.done[-1]}"

    def lose_the_tab(self) -> None:
        """Come back to a tab that the phone has let go of: its address is loaded anew."""
        address, before = self.page.url, self.page
        self.page = self._open()
        before.close()
        self.note("the tab is lost")
        self._visit(address)

    def let_time_pass(self) -> None:
        seconds = self.random.choice((1, 31, 31, 61, 200, 660))
        self.note(f"{seconds} s later")
        self.clock.forward(seconds=seconds)

    def look(self) -> None:
        """Compare what the page says with what is so. Raises AssertionError with all that was done."""
        path = self.page.url.removeprefix(self.url).partition("?")[0]
        answered = self.answered
        if answered is not None:
            kind = answered.headers.get("content-type", "")
            assert kind.startswith("text/html"), self.told(f"{path} is {kind}")
            assert answered.status in {200, 400, 403, 404, 429}, self.told(f"{path} answers {answered.status}")
        words = self.page.locator("body").inner_text()
        assert self.page.locator("h1").count() == 1, self.told(f"{path} has no heading: {words[:200]}")
        ways_on = self.page.locator("main a:visible, main button:visible, .below a:visible, header a:visible")
        assert ways_on.count(), self.told(f"{path} is a dead end")
        self._compare(path, words)

    def _compare(self, path: str, words: str) -> None:
        if not self.user_id:
            return
        status = self.mfa.status(self.user_id)
        devices = self.mfa.trusted_devices.list(self.user_id)
        active = [one for one in devices if one.is_active]
        if path == f"{OURS}/security" and "Recent activity" in words:
            is_on = "Two-step sign-in is on" in words
            assert is_on == status.is_enrolled, self.told(f"is enrolled: {status.is_enrolled}, and it says: {words}")
            said = re.search(r"(\d+) of (\d+) left", words)
            if status.is_enrolled:
                assert said, self.told(f"nothing of backup codes: {words}")
                assert int(said[1]) == status.backup_codes_remaining, self.told(f"{said[0]}: {status}")
            rows = self.page.locator("form[action$='/revoke']").count()
            not_revoked = sum(one.revoked_at is None for one in devices)
            assert len(active) <= rows <= not_revoked, self.told(f"{len(active)} devices, and {rows} are shown")
        for sentence, is_so in {
            "Two-step sign-in is off.": not status.is_enrolled,
            "No device is trusted any more.": not active,
            "You can make changes for a few minutes.": "you will be asked for a code first" not in words,
        }.items():
            assert is_so or sentence not in words, self.told(f"it says {sentence!r}, which is not so")
        if path == f"{OURS}/backup-codes" and (shown := _CODE.findall(words)):
            left = status.backup_codes_remaining
            assert len(set(shown)) == left, self.told(f"{len(set(shown))} codes are shown, and {left} are left")
            self.codes = shown
        if "There is a problem" in words and "set-up waited" in words:
            assert not status.is_enrolled, self.told(f"the set-up is said to be over, and it was a success: {words}")

    def told(self, words: str) -> str:
        """What went wrong, after what was done."""
        return "\n".join([f"TWOFOLD_ATTACK_SEED={self.seed}: {words}", *(f"  {deed}" for deed in self.done[-25:])])
