"""Ada at her browser: the pages as a person meets them who has no JavaScript."""

from __future__ import annotations

import re
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from examples.notebook import people
from examples.sample import accounts
from tests.people import Clock, Phone

if TYPE_CHECKING:
    from http.cookiejar import Cookie

    from httpx2 import Client, Response

PASSWORD = "correct horse battery"

# What a password costs is the host's, and nothing is learned from waiting for thousands. From here on it costs nothing
# in the whole process.
accounts.MEMORY, accounts.PASSES, people.COST = 8, 1, 2


@dataclass
class Browser:
    """A browser without JavaScript: it keeps cookies, and sends the form token of the page that it shows."""

    client: Client
    csrf: str = ""

    def get(self, path: str) -> Response:
        return self._seen(self.client.get(path))

    def post(self, path: str, **fields: str) -> Response:
        return self._seen(self.client.post(path, data={"csrf": self.csrf} | fields))

    def _seen(self, response: Response) -> Response:
        if found := re.search(r'name="csrf" value="([^"]+)"', response.text):
            self.csrf = found[1]
        return response

    def cookie(self, name: str) -> str | None:
        return self.client.cookies.get(name)

    def profile(self) -> list[Cookie]:
        """A copy of all cookies, as they lie on the disk."""
        return [copy(cookie) for cookie in self.client.cookies.jar]

    def put_back(self, profile: list[Cookie]) -> None:
        """Begin with these cookies and no others."""
        self.client.cookies.clear()
        for cookie in profile:
            self.client.cookies.jar.set_cookie(copy(cookie))

    def devices(self) -> dict[str, str]:
        """The cookies of trusted devices by their names, one for each person who trusts this browser."""
        return {name: value for name, value in self.client.cookies.items() if "twofold_device_" in name}

    def device(self) -> str | None:
        """The token of the one person who trusts this browser; None where nobody does."""
        (token,) = self.devices().values() or (None,)
        return token


@dataclass
class Ada:
    """Ada at her browser, with a phone once she has set it up."""

    browser: Browser
    clock: Clock
    email: str = "ada@example.com"
    phone: Phone | None = None
    backup_codes: list[str] = field(default_factory=list)

    def register(self) -> Response:
        self.browser.get("/register")
        return self.browser.post("/register", email=self.email, password=PASSWORD)

    def sign_in(self, password: str = PASSWORD) -> Response:
        self.browser.get("/login")
        answer = self.browser.post("/login", email=self.email, password=password)
        if answer.has_redirect_location:
            self.browser.get(answer.headers["location"])
        return answer

    def sign_out(self) -> Response:
        self.browser.get("/")
        return self.browser.post("/sign-out")

    def begin(self) -> Phone:
        self.browser.get("/mfa/setup")
        assert self.browser.post("/mfa/setup/begin").headers["location"] == "/mfa/setup"
        groups = re.findall(r"<span>([A-Z2-7]{1,4})</span><wbr>", self.browser.get("/mfa/setup").text)
        return Phone("".join(groups), self.clock)

    def enroll(self) -> None:
        self.phone = self.begin()
        answer = self.browser.post("/mfa/setup/confirm", code=self.phone.code())
        assert answer.headers["location"] == "/mfa/backup-codes"
        self.backup_codes = self.shown_codes()
        self.clock.forward(seconds=60)
        self.browser.get("/mfa/security")

    def shown_codes(self) -> list[str]:
        """The backup codes that this browser may see again."""
        return re.findall(r"<li>([0-9A-Z-]{29})</li>", self.browser.get("/mfa/backup-codes").text)

    def keep_codes(self) -> None:
        """Say that the codes on the page are kept."""
        self.shown_codes()
        assert self.browser.post("/mfa/backup-codes/kept", kept="yes").headers["location"] == "/mfa/security?done=kept"
        self.browser.get("/mfa/security")

    def regenerate(self) -> list[str]:
        """Ask for new backup codes, mean it, and read them. Those that wait to be kept are kept first."""
        if self.shown_codes():
            self.keep_codes()
        self.browser.get("/mfa/backup-codes/regenerate")
        assert self.browser.post("/mfa/backup-codes/regenerate", sure="yes").headers["location"] == "/mfa/backup-codes"
        return self.shown_codes()

    def code(self) -> str:
        """A code that works, and has not been used."""
        assert self.phone is not None
        self.clock.forward(seconds=60)
        return self.phone.code()
