"""The states of the pages that somebody with a passkey meets. What is no form is done with the library.

The passkeys are no hardware: they sign what the page asks for, and the form is sent as the script sends it.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tests.atlas import STATES, Person, state
from tests.passkeys.makers import OTHER_MODEL, key_of
from tests.people import FIREFOX, SAFARI, challenged
from twofold import Challenge, Rejected
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from twofold import Registered

__all__ = ["STATES"]


@dataclass
class Owner:
    """The person of a state, with the passkey that they have made."""

    person: Person
    passkey: VirtualPasskey
    registered: Registered

    def verify(self, answer: VirtualPasskey | str) -> None:
        """Sign in at the library, with a passkey or a code."""
        challenge = self.person.world.mfa.challenge(self.person.user_id)
        assert isinstance(challenge, Challenge)
        if not isinstance(answer, str):
            assert challenge.passkey_options is not None
            answer = answer.sign(challenge.passkey_options)
        with contextlib.suppress(Rejected):
            self.person.world.mfa.verify(challenge.token, answer)


def made(person: Person, passkey: VirtualPasskey | None = None, **given: Any) -> Owner:
    """Register a passkey for the person of a state."""
    passkey, mfa = passkey or key_of(person.world.url), person.world.mfa
    begun = mfa.passkeys.begin(person.user_id, account_name=person.email, verified=given.pop("verified", None))
    given.setdefault("request", FIREFOX)
    registered = mfa.passkeys.confirm(person.user_id, passkey.register(begun), **given)
    return Owner(person, passkey, registered)


def asked(page: Page) -> dict[str, Any]:
    """What the page asks the browser for."""
    options: dict[str, Any] = json.loads(page.locator("[data-passkey]").get_attribute("data-options") or "")
    return options


def send(page: Page, credential: str) -> None:
    """Send the form as the script does."""
    with page.expect_navigation():
        page.locator("input[name=passkey]").evaluate(
            "(field, value) => { field.value = value; field.form.noValidate = true; field.form.requestSubmit(); }",
            credential,
        )


def gives_up(page: Page) -> None:
    """Press the button, and touch nothing: the browser says so, as it does after a minute or at a click."""
    page.evaluate(
        "() => { navigator.credentials.get = navigator.credentials.create = "
        "() => Promise.reject(new DOMException('', 'NotAllowedError')); }"
    )
    page.locator("[data-passkey] button").click()
    page.locator("[data-passkey] .problem").wait_for()


@state
def setup_of_a_passkey(person: Person) -> None:
    person.sign_in("password")
    person.go("/mfa/setup")
    person.press("/passkeys/begin")


@state
def setup_of_a_passkey_given_up(person: Person) -> None:
    setup_of_a_passkey(person)
    gives_up(person.page)


@state
def setup_of_a_passkey_refused(person: Person) -> None:
    setup_of_a_passkey(person)
    send(person.page, VirtualPasskey("https://elsewhere.example").register(asked(person.page)))


@state
def setup_of_a_passkey_of_a_model_that_is_not_let_in(person: Person) -> None:
    setup_of_a_passkey(person)
    send(person.page, key_of(person.world.url, OTHER_MODEL).register(asked(person.page)))


@state
def setup_of_an_app_beside_a_passkey(person: Person) -> None:
    person.sign_in(proof=made(person).registered.verified)
    person.go("/mfa/setup")


@state
def challenge_by_passkey(person: Person) -> None:
    made(person)
    person.wait()
    person.go("/mfa/challenge")


@state
def challenge_by_passkey_or_code(person: Person) -> None:
    made(person, verified=person.enroll().verified)
    person.wait()
    person.go("/mfa/challenge")


@state
def challenge_by_passkey_or_code_given_up(person: Person) -> None:
    challenge_by_passkey_or_code(person)
    gives_up(person.page)


@state
def challenge_by_passkey_or_code_wrong(person: Person) -> None:
    challenge_by_passkey_or_code(person)
    person.send(person.enrolled.phone.wrong_code())


@state
def challenge_by_passkey_refused(person: Person) -> None:
    owner = made(person, verified=person.enroll().verified)
    person.wait()
    person.go("/mfa/challenge")
    send(person.page, owner.passkey.sign(asked(person.page), signature=b"none"))


@state
def challenge_by_a_copied_passkey(person: Person) -> None:
    owner = made(person)
    thief = owner.passkey.copied()
    owner.verify(owner.passkey)
    person.wait()
    person.go("/mfa/challenge")
    send(person.page, thief.sign(asked(person.page)))


@state
def challenge_by_backup_code_beside_a_passkey(person: Person) -> None:
    made(person)
    person.wait()
    person.go("/mfa/challenge?with=backup-code")


@state
def challenge_with_no_way_left(person: Person) -> None:
    owner = made(person)
    for code in owner.registered.backup_codes:
        owner.verify(code)
    thief = owner.passkey.copied()
    owner.verify(owner.passkey)
    person.wait()
    person.go("/mfa/challenge")
    send(person.page, thief.sign(asked(person.page)))


@state
def reverify_by_passkey(person: Person) -> None:
    made(person)
    person.sign_in("trusted device")
    person.go("/mfa/security")
    person.press("/passkeys/begin")


@state
def reverify_by_passkey_or_code(person: Person) -> None:
    made(person, verified=person.enroll().verified)
    person.sign_in("trusted device")
    person.go("/mfa/reverify?next=security")


@state
def reverify_by_backup_code_beside_a_passkey(person: Person) -> None:
    made(person)
    person.sign_in("trusted device")
    person.go("/mfa/reverify?next=security&with=backup-code")


@state
def step_up_to_rename_a_passkey(person: Person) -> None:
    made(person)
    person.sign_in("trusted device")
    person.go("/mfa/security")
    person.page.locator(".renaming summary").first.click()
    person.press("/rename")


@state
def step_up_for_turning_off_refused(person: Person) -> None:
    step_up_to_turn_off(person)
    person.send(person.enrolled.phone.wrong_code())


@state
def step_up_for_turning_off_by_backup_code(person: Person) -> None:
    step_up_to_turn_off(person)
    with person.page.expect_navigation():
        person.page.locator("a[href*='with=backup-code']").last.click(no_wait_after=True)


def step_up_to_turn_off(person: Person) -> None:
    """Ask to turn all off, with a passkey and an app, and be asked for one of them."""
    made(person, verified=person.enroll().verified)
    person.sign_in("trusted device")
    person.go("/mfa/security")
    person.page.locator("summary#off").click()
    person.page.locator("input[name=sure]").check()
    person.press("/disable")


@state
def security_with_one_passkey(person: Person) -> None:
    owner = made(person)
    owner.verify(owner.passkey)
    person.sign_in("trusted device")
    person.go("/mfa/security")


@state
def security_with_passkeys(person: Person) -> None:
    verified = person.enroll().verified
    owner = made(person, verified=verified)
    synced = key_of(person.world.url, can_sync=True, is_synced=True, counter=None)
    made(person, synced, verified=verified, request=SAFARI)
    thief = owner.passkey.copied()
    owner.verify(owner.passkey)
    owner.verify(thief)
    person.sign_in(proof=verified)
    person.go("/mfa/security")
    person.page.locator(".renaming summary").first.click()


@state
def security_with_app_and_passkeys(person: Person) -> None:
    verified = person.enroll().verified
    laptop = made(person, verified=verified)
    phone = key_of(person.world.url, can_sync=True, is_synced=True, counter=None)
    made(person, phone, verified=verified, request=SAFARI)
    person.world.mfa.trusted_devices.trust(verified, request=FIREFOX)
    person.world.clock.forward(minutes=1)
    laptop.verify(laptop.passkey)
    person.sign_in(proof=verified)
    person.go("/mfa/security")


@state
def security_with_altered_passkeys(person: Person) -> None:
    verified = person.enroll().verified
    made(person, verified=verified)
    altered = sa.text("UPDATE mfa_passkeys SET backup_eligible = NOT backup_eligible WHERE user_id = :user")
    with person.world.engine.begin() as connection:
        connection.execute(altered, {"user": person.user_id})
    challenged(person.world.mfa, person.user_id)
    person.sign_in(proof=verified)
    person.go("/mfa/security")


@state
def last_way_not_removed(person: Person) -> None:
    person.sign_in(proof=made(person).registered.verified)
    person.go("/mfa/security")
    with person.page.expect_navigation():
        # There is no button for it: the form of another is sent there.
        person.page.locator("form[action$='/rename']").evaluate(
            "form => { form.action = form.action.replace('rename', 'revoke'); form.submit(); }"
        )
