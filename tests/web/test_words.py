"""What a person reads of refusals and events."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from twofold import Event, Reason, Rejected
from twofold.kinds import Kind
from twofold.web import activity, refusals

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WAITS = timedelta(minutes=10)


def said(kind: str, **details: Any) -> str:
    return activity.event(Event(1, 1, 1, kind, "success", details, None, None, None, NOON))


def lines(*happened: tuple[str, dict[str, Any], int], status: str = "success", later: int = 60) -> list[activity.Line]:
    """The lines of events that happened so many minutes after noon, the oldest first."""
    events = [
        Event(seq, 1, seq, kind, status, details, "192.0.2.1", None, None, NOON + timedelta(minutes=minute))
        for seq, (kind, details, minute) in enumerate(happened, 1)
    ]
    return activity.lines(events[::-1], NOON + timedelta(minutes=later), waits=WAITS)


WRONG = {"reason": "wrong_code", "occasion": "login"}
RIGHT = {"factor": "totp", "occasion": "login"}


def test_every_kind_has_a_sentence_of_its_own() -> None:
    sentences = {said(kind) for kind in Kind}
    assert len(sentences) == len(Kind)
    assert not {str(kind).replace("_", " ").capitalize() for kind in Kind} & sentences


def test_no_line_speaks_of_what_only_its_programmers_know() -> None:
    for kind in Kind:
        assert not re.search(r"cookie|token|\bseal|encrypt|\brows?\b|\btable|%", said(kind)), kind


def test_a_challenge_and_the_sign_in_that_followed_are_one_line() -> None:
    (line,) = lines(("challenged", {}, 0), ("code_accepted", RIGHT, 1))
    assert (line.sentence, line.advice) == ("Signed in with a code from the app", None)


def test_a_challenge_without_a_code_says_so_and_what_to_do() -> None:
    (line,) = lines(("challenged", {}, 0))
    assert line.sentence == "The password was right, and the second step was not taken"
    assert line.status == "refused"
    assert line.advice == "If that was not you, somebody knows your password: change it."
    (fresh,) = lines(("challenged", {}, 0), later=5)
    assert fresh.sentence == "The password was right, and the second step was asked for"
    begun_again = lines(("challenged", {}, 0), ("challenged", {}, 1), later=2)
    assert [line.sentence for line in begun_again] == [fresh.sentence, line.sentence]


def test_wrong_codes_that_follow_each_other_are_one_line() -> None:
    story = [("challenged", {}, 0), *(("code_refused", WRONG, minute) for minute in range(5))]
    (line,) = lines(*story, status="refused")
    assert line.sentence == "5\xa0wrong codes were given to sign in"
    assert (line.since, line.at, line.number) == (NOON, NOON + timedelta(minutes=4), 1)
    assert line.advice == "If that was not you, somebody knows your password: change it."
    newest, older = lines(*story[:2], ("code_accepted", RIGHT, 2))
    assert (newest.sentence, older.sentence) == (
        "Signed in with a code from the app",
        "A wrong code was given to sign in",
    )
    assert older.advice is None


@pytest.mark.parametrize(
    ("reason", "asking", "stands", "told", "asks_for_help"),
    [
        (Reason.PASSKEY_REFUSED, "passkey", {"passkeys": 2}, "Try again, or take another one of yours.", False),
        (Reason.PASSKEY_REFUSED, "passkey", {"passkeys": 1}, "The passkey was not accepted. Try again.", False),
        (Reason.PASSKEY_CLONED, "passkey", {"passkeys": 1}, "Use another way, remove it", False),
        (Reason.PASSKEY_CLONED, "passkey", {"backup_codes": 1}, "Use another way, remove it", False),
        (Reason.PASSKEY_CLONED, "passkey", {"has_app": True}, "Use another way, remove it", False),
        (Reason.PASSKEY_CLONED, "passkey", {"has_app": True, "is_suspended": True}, "Only support can help", True),
        (Reason.PASSKEY_CLONED, "passkey", {}, "copied, so it is not accepted any more. Nothing that you could", True),
        (Reason.ALTERED, "passkey", {"backup_codes": 1}, "Passkeys cannot be used at the moment.", False),
        (Reason.ALTERED, "passkey", {}, "Only support can help", True),
        (Reason.ALTERED, "backup_code", {"has_app": True}, "Use the app, and then make new ones.", False),
        (Reason.ALTERED, "backup_code", {"passkeys": 1}, "Use a passkey, and then make new ones.", False),
        (Reason.ALTERED, "backup_code", {}, "Only support can help", True),
        (Reason.SUSPENDED, "app", {"has_app": True, "passkeys": 1}, "A passkey lets you in to do that.", False),
        (Reason.SUSPENDED, "app", {"has_app": True, "backup_codes": 1}, "A backup code lets you in to do that.", False),
        (Reason.SUSPENDED, "app", {"has_app": True}, "only support can help", True),
    ],
)
def test_nobody_is_sent_to_what_they_do_not_have(
    reason: Reason, asking: refusals.Asking, stands: dict[str, Any], told: str, *, asks_for_help: bool
) -> None:
    has: dict[str, Any] = {"backup_codes": 0, "has_app": False} | stands
    problem = refusals.refusal(Rejected(reason), "123456", asking=asking, digits=6, **has)
    assert told in problem.sentence
    assert problem.asks_for_help is asks_for_help


def test_the_same_again_is_counted_and_other_places_are_told_apart() -> None:
    recognized = ("device_recognized", {"device": "Firefox on Linux"}, 1)
    (line,) = lines(recognized, recognized, recognized)
    assert (line.number, line.sentence) == (3, "Signed in on a trusted device, Firefox\u00a0on\u00a0Linux")
    assert len(lines(recognized, ("device_recognized", {"device": "Phone"}, 2), recognized)) == 3


def test_each_alarm_says_what_to_do() -> None:
    told = {
        kind: lines((kind, {}, 0), status="alarm")[0].advice
        for kind in (Kind.DEVICE_THEFT, Kind.ROWS_ALTERED, Kind.SEAL_BROKEN, Kind.KEY_MISSING, Kind.CLOCK_SET_RIGHT)
    }
    assert all(told.values())
    assert told[Kind.DEVICE_THEFT] == "Change your password, and stop trusting devices that you do not know."
    (codes,) = lines(("rows_altered", {"table": "mfa_backup_codes"}, 0), status="alarm")
    assert codes.advice == "Make new backup codes, and tell support."


@pytest.mark.requirement("R98")
def test_a_line_that_stands_for_many_says_for_how_many() -> None:
    (line,) = lines(("challenged", {"gathered": 73}, 0))
    told = "The password was right, and the second step was asked for, the latest of 73\xa0such entries that day"
    assert line.sentence == told
    refused = said("code_refused", gathered=51, **WRONG)
    assert refused == "A wrong code was given to sign in, the latest of 51\xa0such entries that day"


def told(reason: Reason, typed: str = "123456", wait: timedelta | None = None, **known: Any) -> refusals.Problem:
    """What a person reads on a page, who has six digits and ten backup codes where a test says nothing else."""
    page: dict[str, Any] = {"asking": "app", "digits": 6, "backup_codes": 10} | known
    return refusals.refusal(Rejected(reason, wait), typed, **page)


LOOKED_AT = (Reason.WRONG_CODE, Reason.CODE_ALREADY_USED, Reason.CLOCK_WENT_BACK)


@pytest.mark.requirement("R67")
@pytest.mark.parametrize(
    ("asking", "sentence"),
    [
        ("app", refusals.REFUSED),
        ("backup_code", refusals.BACKUP_CODE_REFUSED),
        ("setup", refusals.FIRST_CODE_REFUSED),
    ],
)
def test_every_code_that_was_looked_at_is_refused_in_the_same_words(asking: str, sentence: str) -> None:
    assert {told(reason, asking=asking) for reason in LOOKED_AT} == {refusals.Problem(sentence)}


def test_who_mistypes_a_backup_code_is_told_of_no_wait_and_of_no_next_one() -> None:
    for wait in (None, timedelta(seconds=22)):
        for is_suspended in (False, True):
            problem = told(Reason.WRONG_CODE, "A" * 25, wait, asking="backup_code", is_suspended=is_suspended)
            assert problem == refusals.Problem(refusals.BACKUP_CODE_REFUSED)
    assert "next" not in refusals.BACKUP_CODE_REFUSED


def test_a_wait_says_how_long_it_is_and_names_backup_codes_only_to_those_who_have_some() -> None:
    wait = timedelta(minutes=2)
    for reason in (Reason.WRONG_CODE, Reason.WAITING, Reason.EXHAUSTED):
        problem = told(reason, wait=wait, lasts=timedelta(minutes=10))
        assert problem.sentence == "There were too many wrong codes. Try again in 2\xa0minutes."
        assert (problem.wait, problem.is_open_to_backup_codes) == (wait, True)
        assert not told(reason, wait=wait, backup_codes=0).is_open_to_backup_codes
    assert "begin the sign-in anew" in told(Reason.WAITING, wait=wait, lasts=timedelta(minutes=1)).sentence


def test_a_suspension_is_told_before_any_wait_and_never_ends_in_a_dead_end() -> None:
    for reason in (Reason.WRONG_CODE, Reason.WAITING, Reason.SUSPENDED):
        problem = told(reason, wait=timedelta(seconds=30), is_suspended=True)
        assert problem.sentence.startswith(refusals.SUSPENDED)
        assert "Try again" not in problem.sentence
        assert (problem.wait, problem.is_open_to_backup_codes, problem.asks_for_help) == (None, True, False)
        alone = told(reason, wait=timedelta(seconds=30), is_suspended=True, backup_codes=0)
        assert "support" in alone.sentence
        assert (alone.wait, alone.is_open_to_backup_codes, alone.asks_for_help) == (None, False, True)


@pytest.mark.parametrize(
    ("typed", "known", "sentence"),
    [
        ("1234 5", {}, "The code has 6\xa0digits; this has 5."),
        ("1234567", {"digits": 8}, "The code has 8\xa0digits; this has 7."),
        ("１２３", {"asking": "setup"}, "The code has 6\xa0digits; this has 3."),
        ("12345o", {"asking": "setup"}, "The code has 6\xa0digits, and nothing else."),
        ("hello", {}, "The code has 6\xa0digits, and nothing else; a backup code has 25\xa0letters and digits."),
        ("A" * 24, {"asking": "backup_code"}, "A backup code has 25\xa0letters and digits; this has 24."),
        (
            "A" * 24 + "!",
            {"asking": "backup_code"},
            "A backup code has letters from A to Z and digits, and nothing else.",
        ),
    ],
)
def test_a_mistake_of_typing_is_told_with_its_numbers(typed: str, known: dict[str, Any], sentence: str) -> None:
    assert told(Reason.MALFORMED, typed, **known).sentence == sentence
