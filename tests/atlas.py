"""Every page in every state that a person can meet it in, at the sample behind a real server.

Each state has a user of its own. What leads to it is done with the library and the sample's sessions; only what the
pages answer to a form is done with the form.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from examples.sample import accounts, sessions
from tests.people import FIREFOX, SAFARI, Enrolment, Phone, challenged, enroll
from tests.visitors import PASSWORD
from twofold import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.people import Clock
    from twofold import MFA, Verified

LANGUAGES = ("en", "de", "fr", "es", "ja", "ar")


@dataclass
class World:
    """The application, and whatever else a state is made with."""

    url: str
    engine: sa.Engine
    mfa: MFA
    clock: Clock
    email: str = "ada{number}@example.com"
    number: int = 0

    def newcomer(self) -> tuple[accounts.Account, str]:
        """Another user, with an account and an address."""
        self.number += 1
        email = self.email.format(number=self.number)
        return accounts.register(self.engine, email, PASSWORD), email


@dataclass
class Person:
    """The user of one state, and the page that stands before them."""

    world: World
    page: Page
    account: accounts.Account
    email: str
    enrolled: Enrolment = field(init=False)

    @property
    def user_id(self) -> int:
        return self.account.user_id

    def enroll(self) -> Enrolment:
        self.enrolled = enroll(self.world.mfa, self.user_id, self.world.clock)
        return self.enrolled

    def sign_in(self, how: sessions.How = "two steps", *, proof: Verified | None = None) -> None:
        epoch = self.world.mfa.status(self.user_id).epoch
        token = proof.token if proof else None
        self._bring(sessions.begin(self.world.engine, self.account, how, epoch, proof=token))

    def wait(self) -> None:
        challenge = challenged(self.world.mfa, self.user_id)
        epoch = self.world.mfa.status(self.user_id).epoch
        self._bring(sessions.begin(self.world.engine, self.account, "password", epoch, challenge=challenge))

    def _bring(self, session_id: str) -> None:
        self.page.context.clear_cookies(name="sample_session")
        self.page.context.add_cookies([{"name": "sample_session", "value": session_id, "url": self.world.url}])

    def go(self, path: str) -> None:
        self.page.goto(self.world.url + path)

    def send(self, code: str) -> None:
        """Type a code and send it."""
        # A whole one that is typed is sent by the script, and the button would be pressed on the page that follows.
        self.page.locator("input[name=code]").evaluate("(field, code) => { field.value = code; }", code)
        with self.page.expect_navigation():
            self.page.locator("form:has(input[name=code]) button[type=submit]").first.click(no_wait_after=True)

    def press(self, form: str) -> None:
        """Press the button of the form with this address."""
        with self.page.expect_navigation():
            self.page.locator(f"form[action$='{form}'] button[type=submit]").first.click(no_wait_after=True)

    def be_wrong(self, times: int) -> None:
        """Give so many wrong codes, each where it is looked at."""
        for _ in range(times):
            status = self.world.mfa.status(self.user_id)
            if status.waiting_until:
                self.world.clock.now = status.waiting_until
            with contextlib.suppress(Rejected):
                self.world.mfa.verify(challenged(self.world.mfa, self.user_id), self.enrolled.phone.wrong_code())

    def begin_setup(self) -> Phone:
        self.go("/mfa/setup")
        self.press("/setup/begin")
        return Phone("".join(self.page.locator("#secret span").all_text_contents()), self.world.clock)


STATES: dict[str, Callable[[Person], None]] = {}


def state(function: Callable[[Person], None]) -> Callable[[Person], None]:
    STATES[function.__name__.replace("_", "-")] = function
    return function


@state
def security_off(person: Person) -> None:
    person.sign_in("password")
    person.go("/mfa/security")


@state
def security_on(person: Person) -> None:
    person.sign_in(proof=person.enroll().verified)
    person.go("/mfa/security")


@state
def security_not_fresh(person: Person) -> None:
    person.enroll()
    person.sign_in("trusted device")
    person.go("/mfa/security")


@state
def security_with_devices(person: Person) -> None:
    mfa, enrolled = person.world.mfa, person.enroll()
    for request in (FIREFOX, FIREFOX, SAFARI):
        mfa.trusted_devices.trust(enrolled.verified, request=request)
    person.sign_in(proof=enrolled.verified)
    person.go("/mfa/security")


@state
def security_after_much_has_happened(person: Person) -> None:
    enrolled = person.enroll()
    person.be_wrong(6)
    person.world.clock.forward(minutes=5)
    person.world.mfa.verify(challenged(person.world.mfa, person.user_id), enrolled.phone.code(), request=FIREFOX)
    person.sign_in(proof=enrolled.verified)
    person.go("/mfa/security")


@state
def security_earlier(person: Person) -> None:
    enrolled, devices = person.enroll(), person.world.mfa.trusted_devices
    for _ in range(8):
        # Of what happens again and again there is one line.
        devices.revoke(person.user_id, devices.trust(enrolled.verified, request=FIREFOX).device_id)
    person.sign_in(proof=enrolled.verified)
    person.go("/mfa/security")
    with person.page.expect_navigation():
        person.page.locator("a[href*='before=']").first.click(no_wait_after=True)


@state
def security_waiting(person: Person) -> None:
    person.enroll()
    person.be_wrong(5)
    person.sign_in("trusted device")
    person.go("/mfa/security")


@state
def security_suspended(person: Person) -> None:
    person.enroll()
    person.be_wrong(100)
    person.sign_in("trusted device")
    person.go("/mfa/security")


@state
def setup_begin(person: Person) -> None:
    person.sign_in("password")
    person.go("/mfa/setup")


@state
def setup_to_scan(person: Person) -> None:
    person.sign_in("password")
    person.begin_setup()


@state
def setup_by_hand(person: Person) -> None:
    person.sign_in("password")
    person.begin_setup()
    for summary in person.page.locator("summary").all():
        summary.click()


@state
def setup_with_a_wrong_code(person: Person) -> None:
    person.sign_in("password")
    person.send(person.begin_setup().wrong_code())


@state
def setup_with_too_few_digits(person: Person) -> None:
    person.sign_in("password")
    person.begin_setup()
    person.send("12345")


@state
def setup_of_another_app(person: Person) -> None:
    person.sign_in(proof=person.enroll().verified)
    person.begin_setup()


@state
def backup_codes_new(person: Person) -> None:
    person.sign_in("password")
    person.send(person.begin_setup().code())


@state
def backup_codes_asked_for_anew(person: Person) -> None:
    person.sign_in(proof=person.enroll().verified)
    person.go("/mfa/backup-codes/regenerate")


@state
def challenge_asked(person: Person) -> None:
    person.enroll()
    person.wait()
    person.go("/mfa/challenge")


@state
def challenge_with_help_open(person: Person) -> None:
    challenge_asked(person)
    for summary in person.page.locator("summary").all():
        summary.click()


@state
def challenge_wrong(person: Person) -> None:
    challenge_asked(person)
    person.send(person.enrolled.phone.wrong_code())


@state
def challenge_too_long(person: Person) -> None:
    challenge_asked(person)
    person.send("1234567")


@state
def challenge_in_a_wait(person: Person) -> None:
    person.enroll()
    person.be_wrong(4)
    person.wait()
    person.go("/mfa/challenge")
    person.send(person.enrolled.phone.wrong_code())


@state
def challenge_suspended(person: Person) -> None:
    person.enroll()
    person.be_wrong(100)
    person.world.clock.forward(hours=2)
    person.wait()
    person.go("/mfa/challenge")
    person.send(person.enrolled.phone.code())


@state
def challenge_by_backup_code(person: Person) -> None:
    person.enroll()
    person.wait()
    person.go("/mfa/challenge?with=backup-code")


@state
def challenge_by_wrong_backup_code(person: Person) -> None:
    challenge_by_backup_code(person)
    person.send("YJQAW-73NPP-YJQAW-73NPP-YJQAW")


@state
def challenge_by_short_backup_code(person: Person) -> None:
    challenge_by_backup_code(person)
    person.send("YJQAW-73NPP")


@state
def challenge_expired(person: Person) -> None:
    challenge_asked(person)
    person.world.clock.forward(minutes=11)
    person.send(person.enrolled.phone.code())


@state
def reverify_asked(person: Person) -> None:
    person.enroll()
    person.sign_in("trusted device")
    person.go("/mfa/reverify?next=security")


@state
def reverify_wrong(person: Person) -> None:
    reverify_asked(person)
    person.send(person.enrolled.phone.wrong_code())


@state
def reverify_by_backup_code(person: Person) -> None:
    person.enroll()
    person.sign_in("trusted device")
    person.go("/mfa/reverify?next=security&with=backup-code")


@state
def step_up_for_turning_off(person: Person) -> None:
    person.enroll()
    person.sign_in("trusted device")
    person.go("/mfa/security")
    person.page.locator("summary").last.click()
    person.page.locator("input[name=sure]").check()
    person.press("/disable")


@state
def not_found(person: Person) -> None:
    person.sign_in("password")
    person.go("/mfa/nowhere")


@state
def device_not_there(person: Person) -> None:
    enrolled = person.enroll()
    device = person.world.mfa.trusted_devices.trust(enrolled.verified, request=FIREFOX)
    person.sign_in(proof=enrolled.verified)
    person.go("/mfa/security")
    person.world.mfa.trusted_devices.revoke(person.user_id, device.device_id)
    person.press("/revoke")


@state
def form_of_another_session(person: Person) -> None:
    enrolled = person.enroll()
    person.world.mfa.trusted_devices.trust(enrolled.verified, request=FIREFOX)
    person.sign_in(proof=enrolled.verified)
    person.go("/mfa/security")
    person.sign_in(proof=enrolled.verified)
    person.press("/revoke")


@state
def out_of_order(person: Person) -> None:
    person.enroll()
    person.wait()
    altered = sa.text("UPDATE user_mfa_secrets SET failed_attempts = 7 WHERE user_id = :user")
    with person.world.engine.begin() as connection:
        connection.execute(altered, {"user": person.user_id})
    person.go("/mfa/challenge")
