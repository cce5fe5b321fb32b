"""What a person reads of refusals and events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from twofold import Event, Reason, Rejected
from twofold.kinds import Kind
from twofold.web import activity, refusals


def said(kind: str, **details: Any) -> str:
    return activity.event(Event(1, 1, 1, kind, "success", details, None, None, None, datetime(2026, 1, 1, tzinfo=UTC)))


def test_every_kind_has_a_sentence_of_its_own() -> None:
    sentences = {said(kind) for kind in Kind}
    assert len(sentences) == len(Kind)
    assert not {str(kind).replace("_", " ").capitalize() for kind in Kind} & sentences


def test_a_contested_device_and_a_refused_change_are_told_plainly() -> None:
    contested = said("device_contested", device="Firefox on Linux", reason="an old token of this device came")
    assert contested == "An old cookie of Firefox on Linux came, and a code was asked for"


@pytest.mark.requirement("R98")
def test_a_line_that_stands_for_many_says_for_how_many() -> None:
    told = said("challenged", gathered=73)
    assert told == "The password was right, and a code was asked for, the latest of 73 such entries that day"
    refused = said("code_refused", reason="wrong_code", occasion="login", gathered=51)
    assert refused == "A wrong code was given to sign in, the latest of 51 such entries that day"


@pytest.mark.requirement("R67")
def test_every_code_that_was_looked_at_is_refused_in_the_same_words() -> None:
    looked_at = (Reason.WRONG_CODE, Reason.CODE_ALREADY_USED, Reason.CLOCK_WENT_BACK)
    assert {refusals.refusal(Rejected(reason), has_backup_codes=True) for reason in looked_at} == {refusals.REFUSED}


def test_what_helps_is_said_with_each_refusal() -> None:
    wait = timedelta(hours=36)
    for reason in (Reason.WAITING, Reason.EXHAUSTED):
        sentence = refusals.refusal(Rejected(reason, wait), has_backup_codes=True)
        assert sentence == "There were too many wrong codes. Try again in 36 hours. A backup code works at once."
    assert "set up anew" in refusals.refusal(Rejected(Reason.SUSPENDED), has_backup_codes=True)
    for has_backup_codes in (True, False):
        sentence = refusals.refusal(Rejected(Reason.MALFORMED), has_backup_codes=has_backup_codes)
        assert "does not look like a code" in sentence
        assert ("backup code" in sentence) is has_backup_codes
