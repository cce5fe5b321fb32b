"""Whatever a stranger sends to a real database is refused by name, and counted where it is a guess."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tests.databases import migrate
from tests.fuzz.model import one_form, read
from tests.fuzz.strange import anything, attempt, characters, huge, named, objects, often, spoilt, texts
from tests.people import FIREFOX, Clock, Enrolment, Phone, challenged, log_in, plain_settings
from twofold import MFA, Challenge, ConfigurationError, EnrollmentExpired, Reason, Rejected, Request, Stale, UnknownUser

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database

CODES: list[Any] = [
    "",
    " ",
    "12345",
    "1234567",
    " 123456",
    "123456\n",
    "123 456",
    "１２３４５６",
    "١٢٣٤٥٦",
    "²²²²²²",
    "1_2_3_4",
    "+12345",
    "-12345",
    "0x1234",
    "1e5555",
    "\0\0\0\0\0\0",
    "'; --",
    "{",
    "{}",
    "9" * 1_000_000,
    "\ud800",
    None,
    123456,
    True,
    ["1", "2"],
    {"code": "123456"},
    b"123456",
]
TOKENS: list[Any] = ["", "v1~k1~e30~00", "v1~k1~" + "A" * 9000 + "~00", "~~~", "eyJhbGciOiJub25lIn0.e30.", None, b"v1"]
IDS: list[Any] = [404, -1, 2**63, -(2**63) - 1, 10**40, "1", "ada", "", "1 OR 1=1", 1.0, True, None, UUID(int=1)]

lines = st.one_of(texts, huge, st.text(st.characters(categories=["So", "Mn", "Lo", "Zs"]), max_size=300))


@pytest.mark.requirement("R12", "R39")
def test_no_code_that_was_not_made_is_accepted_and_each_guess_counts(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    user_id, phone, paper = enrolled.user_id, enrolled.phone, enrolled.backup_codes[0]
    on_paper = {read(code) for code in enrolled.backup_codes}

    @often(25)
    @given(st.one_of(anything, spoilt(paper), spoilt("123456"), st.from_regex("[0-9]{6}", fullmatch=True)))
    def offer(code: Any) -> None:
        clock.forward(hours=2)
        typed = code if isinstance(code, str) else ""
        live = {phone.code(steps=steps) for steps in (-1, 0, 1)}
        if one_form(typed) in live or read(typed) in on_paper:
            return
        before, lines = mfa.status(user_id), len(mfa.events.recent(user_id, limit=1000))
        verified, refused = attempt(lambda: mfa.reverify(user_id, code), Rejected)
        assert verified is None
        assert refused is not None
        is_guess, is_paper = re.fullmatch("[0-9]{6}", one_form(typed)) is not None, read(typed) is not None
        if is_guess and before.is_suspended:
            assert refused.reason is Reason.SUSPENDED
        elif typed.startswith("{"):
            # So begins what a passkey signs, and ada has none.
            assert refused.reason is Reason.PASSKEY_REFUSED
        else:
            assert refused.reason is (Reason.WRONG_CODE if is_guess or is_paper else Reason.MALFORMED)
        counts = is_guess and not before.is_suspended
        assert mfa.status(user_id).failed_attempts == before.failed_attempts + counts
        if refused.reason is Reason.MALFORMED:
            assert len(mfa.events.recent(user_id, limit=1000)) == lines

    named(offer, CODES)()
    assert mfa.events.verify(user_id).is_intact
    assert log_in(mfa, user_id, paper)


@pytest.mark.requirement("R26", "R61", "R63", "R73", "R76")
@pytest.mark.attack("A21")
def test_no_token_that_was_not_issued_opens_anything(mfa: MFA, enrolled: Enrolment) -> None:
    user_id = enrolled.user_id
    verified = log_in(mfa, user_id, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    waiting = challenged(mfa, user_id)
    issued = (waiting, verified.token, device.token)

    @often(25)
    @given(st.one_of(anything, *map(spoilt, issued)))
    def offer(token: Any) -> None:
        if token != waiting:
            _, refused = attempt(lambda: mfa.verify(token, enrolled.backup_codes[0]), Rejected)
            assert refused is not None
            assert refused.reason is Reason.CHALLENGE_EXPIRED
        if token != verified.token:
            _, stale = attempt(lambda: mfa.proof(token), Stale)
            assert stale is not None
        if token != device.token:
            assert isinstance(mfa.challenge(user_id, device_token=token, request=FIREFOX), Challenge)

    named(offer, TOKENS)()
    status = mfa.status(user_id)
    assert (status.failed_attempts, status.backup_codes_remaining) == (0, 10)
    assert mfa.events.verify(user_id).is_intact


@pytest.mark.requirement("R98", "R100")
def test_whatever_a_browser_or_an_operator_says_is_kept_and_the_chain_holds(mfa: MFA, enrolled: Enrolment) -> None:
    user_id = enrolled.user_id
    verified = log_in(mfa, user_id, enrolled.phone.code())

    @often(25)
    @given(lines, lines, lines)
    def say(agent: str, name: str, reason: str) -> None:
        request = Request("2001:db8::1", agent, location=name)
        device = mfa.trusted_devices.trust(verified, name=name, request=request)
        mfa.trusted_devices.revoke(user_id, device.device_id, reason=reason, request=request)
        revoked, trusted = mfa.events.recent(user_id, limit=2)
        for event in (revoked, trusted):
            assert event.user_agent == Request.of(request).user_agent
            assert all(value is None or str(value).isprintable() for value in event.details.values())
        _, refused = attempt(lambda: mfa.reset(user_id, by=name, reason=" "), ConfigurationError)
        assert refused is not None
        listed = mfa.trusted_devices.list(user_id)[0]
        assert listed.name.isprintable()

    say()
    assert mfa.events.verify(user_id).is_intact


@pytest.mark.requirement("R45")
def test_a_set_up_works_under_any_name_for_its_session_alone(mfa: MFA, grace: int, clock: Clock) -> None:
    @often(15)
    @given(lines, texts.filter(bool), texts.filter(bool))
    def set_up(name: str, session: str, other: str) -> None:
        phone = Phone(mfa.totp.begin(grace, account_name=name, session=session).secret, clock)
        if other != session:
            _, refused = attempt(lambda: mfa.totp.confirm(grace, phone.code(), session=other), EnrollmentExpired)
            assert refused is not None
        assert mfa.totp.pending(grace, account_name=name, session=session).secret == phone.secret
        mfa.totp.confirm(grace, phone.code(), session=session)
        mfa.reset(grace, by="ada@example.com", reason="a test")

    set_up()
    assert mfa.events.verify(grace).is_intact


@pytest.mark.requirement("R35", "R49")
def test_nobody_is_found_by_what_is_not_an_id(mfa: MFA, enrolled: Enrolment) -> None:
    @often(15)
    @given(st.one_of(texts, objects.filter(lambda value: value != enrolled.user_id)))
    def ask(user_id: Any) -> None:
        for operation in every_operation(mfa, user_id):
            _, nobody = attempt(operation, UnknownUser)
            assert nobody is not None

    named(ask, IDS)()
    assert mfa.events.verify(enrolled.user_id).length == 2


def every_operation(mfa: MFA, user_id: Any) -> list[Callable[[], Any]]:
    """All that is told who somebody is."""
    return [
        lambda: mfa.challenge(user_id),
        lambda: mfa.reverify(user_id, "123456"),
        lambda: mfa.status(user_id),
        lambda: mfa.reset(user_id, by="grace@example.com", reason="a test"),
        lambda: mfa.repair(user_id, by="grace@example.com", reason="a test"),
        lambda: mfa.password_changed(user_id),
        lambda: mfa.erase(user_id),
        lambda: mfa.totp.begin(user_id, account_name="x"),
        lambda: mfa.totp.confirm(user_id, "123456"),
        lambda: mfa.totp.pending(user_id, account_name="x"),
        lambda: mfa.backup_codes.remaining(user_id),
        lambda: mfa.trusted_devices.list(user_id),
        lambda: mfa.trusted_devices.revoke(user_id, 1),
        lambda: mfa.trusted_devices.revoke_all(user_id),
        lambda: mfa.events.verify(user_id),
    ]


def test_any_number_is_a_page_of_the_log_or_a_device_that_is_not_there(mfa: MFA, enrolled: Enrolment) -> None:
    @often(25)
    @given(st.integers(), st.none() | st.integers())
    def ask(number: int, before: int | None) -> None:
        assert len(mfa.events.recent(enrolled.user_id, limit=number, before=before)) <= 2
        assert len(mfa.events.export(after=number, limit=before or 1)) <= 2
        assert not mfa.trusted_devices.revoke(enrolled.user_id, number)

    ask()


@pytest.mark.requirement("R35")
def test_no_text_but_the_id_itself_finds_a_user_whose_id_is_text(database: Database, keys: str, clock: Clock) -> None:
    engine = database.engine()
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE users (id VARCHAR(40) PRIMARY KEY)"))
        connection.execute(sa.text("INSERT INTO users VALUES ('ada')"))
    migrate(database)
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    phone = Phone(mfa.totp.begin("ada", account_name="ada@example.com").secret, clock)
    mfa.totp.confirm("ada", phone.code())

    @often(40)
    @given(st.one_of(texts, spoilt("ada"), st.text(characters, max_size=3).map(lambda end: f"ada{end}")))
    def ask(user_id: str) -> None:
        found, nobody = attempt(lambda: mfa.challenge(user_id), UnknownUser)
        assert (found is not None, nobody is None) == (user_id == "ada", user_id == "ada")

    ask()
