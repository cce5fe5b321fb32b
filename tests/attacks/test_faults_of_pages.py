"""An outage behind the pages: 503 and "try again", nobody is let in, and the same code is good when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.host import Host, browser
from tests.attacks.outages import OUTAGES, hosted
from tests.people import Enrolment, challenged, kinds
from twofold.web.fastapi import SignedIn, Waiting

if TYPE_CHECKING:
    from tests.databases import Database
    from tests.people import Clock
    from twofold import MFA


@pytest.fixture
def face() -> str:
    """The pages run it in threads."""
    return "blocking"


@pytest.mark.requirement("R64")
@pytest.mark.parametrize("outage", OUTAGES)
def test_a_database_that_fails_is_a_503_that_lets_nobody_in(
    mfa: MFA, enrolled: Enrolment, migrated: Database, keys: str, clock: Clock, outage: str
) -> None:
    host = Host(held=Waiting("first", challenged(mfa, enrolled.user_id), "ada@example.com"))
    code, before = enrolled.phone.code(), kinds(mfa, enrolled.user_id)
    with OUTAGES[outage](migrated) as url, hosted(url, "blocking", keys, clock) as broken:
        visitor = browser(broken, host)
        visitor.get("/mfa/challenge")
        for given in (code, enrolled.phone.wrong_code(), enrolled.backup_codes[0]):
            answer = visitor.post("/mfa/challenge", code=given, trust_device="on")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
            assert "set-cookie" not in answer.headers
            assert "Traceback" not in answer.text
            assert given not in answer.text
    assert (host.asked, isinstance(host.held, Waiting)) == ([], True)
    assert kinds(mfa, enrolled.user_id) == before

    visitor = browser(mfa, host)
    visitor.get("/mfa/challenge")
    assert visitor.post("/mfa/challenge", code=code).headers["location"] == "/"
    assert (host.asked, isinstance(host.held, SignedIn)) == (["log_in"], True)


@pytest.mark.requirement("R64", "R101")
def test_a_host_that_fails_to_let_somebody_in_has_let_nobody_in(mfa: MFA, enrolled: Enrolment) -> None:
    host = Host(held=Waiting("first", challenged(mfa, enrolled.user_id), "ada@example.com"), fails=True)
    visitor, code = browser(mfa, host), enrolled.phone.code()
    visitor.get("/mfa/challenge")
    answer = visitor.post("/mfa/challenge", code=code, trust_device="on")
    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers
    assert isinstance(host.held, Waiting)
    # The code was right and is spent; the same request of the same browser is answered again, and nothing else.
    assert kinds(mfa, enrolled.user_id).count("code_accepted") == 1
    host.fails = False
    answer = visitor.post("/mfa/challenge", code=code)
    assert answer.headers["location"] == "/"
    assert isinstance(host.held, SignedIn)
    assert kinds(mfa, enrolled.user_id).count("code_accepted") == 1
