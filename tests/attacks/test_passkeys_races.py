"""One passkey, many at once: one answer wins, one registration stands, and each key has one owner."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.attacks.crowd import WAYS, Call, Crowd, call, outcomes
from tests.attacks.passkey_acts import asked, begun, registered, signed, signs_in
from tests.attacks.processes import PATIENCE, started
from tests.length import LENGTH
from tests.people import ORIGIN, Clock, Sql, kinds, plain_settings
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from multiprocessing.connection import Connection

    from tests.databases import Database
    from twofold import MFA

pytestmark = [pytest.mark.every_driver, pytest.mark.passkeys]

# What one deployment runs: both faces, each in a process of its own.
FACES = ("blocking", "awaited", "blocking")


@pytest.fixture
def crowd(migrated: Database, keys: str, clock: Clock, face: str) -> Iterator[Crowd]:
    with WAYS[face](migrated.url, plain_settings(keys=keys, public_url=ORIGIN, deadline=60), clock) as gathered:
        yield gathered


@pytest.fixture(params=[0, None], ids=["counting", "synced"])
def passkey(request: pytest.FixtureRequest) -> VirtualPasskey:
    """One that counts, and one whose counter would tell nothing."""
    return VirtualPasskey(ORIGIN, counter=request.param, can_sync=request.param is None)


@pytest.mark.requirement("R11", "R116")
@pytest.mark.attack("A6")
def test_one_assertion_at_fifty_doors_is_taken_once(
    mfa: MFA, crowd: Crowd, ada: int, passkey: VirtualPasskey, sql: Sql
) -> None:
    registered(mfa, ada, passkey)
    for _ in range(LENGTH):
        before = mfa.events.verify(ada).length
        token, assertion = signed(mfa, ada, passkey)
        others = [asked(mfa, ada).token for _ in range(10)]
        calls = [call("verify", token, assertion)] * 30 + [call("verify", other, assertion) for other in others]
        results = outcomes(crowd([*calls, *[call("reverify", ada, assertion)] * 10]))
        assert (results.pop("success"), results.total()) == (1, 49)
        assert results.keys() <= {"challenge_expired", "passkey_refused"}
        assert kinds(mfa, ada)[before:].count("code_accepted") == 1
    assert "passkey_cloned" not in kinds(mfa, ada)
    assert sql("SELECT sign_count FROM mfa_passkeys") == [(passkey.counter or 0,)]
    assert mfa.events.verify(ada).is_intact
    assert signs_in(mfa, ada, passkey)


@pytest.mark.requirement("R11", "R116")
@pytest.mark.attack("A6")
def test_one_assertion_in_fifty_live_sessions_is_taken_once(
    mfa: MFA, crowd: Crowd, ada: int, passkey: VirtualPasskey
) -> None:
    registered(mfa, ada, passkey)
    assertion = passkey.sign(mfa.passkeys.ask(ada))
    results = outcomes(crowd([call("reverify", ada, assertion)] * 50))
    assert results == {"success": 1, "code_already_used": 49}
    assert "passkey_cloned" not in kinds(mfa, ada)
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R121")
def test_a_key_and_its_copy_at_once_are_told_apart(mfa: MFA, crowd: Crowd, ada: int) -> None:
    passkey = VirtualPasskey(ORIGIN)
    registered(mfa, ada, passkey)
    thief = passkey.copied()
    calls = [call("verify", *signed(mfa, ada, one)) for one in (passkey, thief)]
    results = outcomes(crowd(calls))
    # Whoever answers the later challenge first spends the earlier one with it; else the second is a copy.
    assert results["success"] == 1
    assert results.total() == 2
    assert (results["passkey_cloned"], mfa.status(ada).passkeys) in {(1, 0), (0, 1)}
    assert results.keys() <= {"success", "passkey_cloned", "challenge_expired"}
    if not results["passkey_cloned"]:
        answer = outcomes(crowd([call("verify", *signed(mfa, ada, passkey))]))
        behind = outcomes(crowd([call("verify", *signed(mfa, ada, thief))]))
        assert (answer, behind) == ({"success": 1}, {"passkey_cloned": 1})
    assert kinds(mfa, ada).count("passkey_cloned") == 1


@pytest.mark.requirement("R11", "R116")
@pytest.mark.attack("A32")
def test_one_registration_at_fifty_doors_makes_one_passkey(
    mfa: MFA, crowd: Crowd, ada: int, passkey: VirtualPasskey, sql: Sql
) -> None:
    credential = passkey.register(begun(mfa, ada))
    results = crowd([call("passkeys.confirm", ada, credential)] * 50)
    # Whoever comes second is told the same again, without the codes.
    assert outcomes(results) == {"success": 50}
    assert sorted(len(one.value.backup_codes) for one in results) == [0] * 49 + [10]
    assert len({one.value.passkey.id for one in results}) == 1
    assert sql("SELECT count(*) FROM mfa_passkeys") == [(1,)]
    assert kinds(mfa, ada).count("passkey_registered") == 1
    assert mfa.backup_codes.remaining(ada) == 10
    assert signs_in(mfa, ada, passkey)


@pytest.mark.requirement("R11", "R116")
@pytest.mark.attack("A32")
def test_many_passkeys_for_one_registration_are_one(mfa: MFA, crowd: Crowd, ada: int, sql: Sql) -> None:
    verified = registered(mfa, ada, VirtualPasskey(ORIGIN)).verified
    ceremony = begun(mfa, ada, verified)
    calls = [call("passkeys.confirm", ada, VirtualPasskey(ORIGIN).register(ceremony)) for _ in range(20)]
    results = outcomes(crowd(calls))
    assert results == {"success": 1, "EnrollmentExpired": 19}
    assert sql("SELECT count(*) FROM mfa_passkeys") == [(2,)]


@pytest.mark.requirement("R117")
def test_one_credential_for_two_users_at_once_has_one_owner(
    mfa: MFA, crowd: Crowd, ada: int, grace: int, passkey: VirtualPasskey, sql: Sql
) -> None:
    for _ in range(LENGTH):
        calls = [call("passkeys.confirm", user, passkey.register(begun(mfa, user))) for user in (ada, grace)]
        assert outcomes(crowd(calls * 10)).keys() == {"success", "passkey_refused"}
        ((owner,),) = sql("SELECT user_id FROM mfa_passkeys")
        assert (mfa.status(ada).is_enrolled, mfa.status(grace).is_enrolled) == (owner == ada, owner == grace)
        assert all(mfa.events.verify(user).is_intact for user in (ada, grace))
        mfa.erase(owner)


@pytest.mark.requirement("R117")
def test_an_end_and_an_answer_at_once_leave_one_truth(mfa: MFA, crowd: Crowd, ada: int) -> None:
    for _ in range(3 * LENGTH):
        passkey, other = VirtualPasskey(ORIGIN), VirtualPasskey(ORIGIN)
        first = registered(mfa, ada, passkey)
        second = registered(mfa, ada, other, first.verified)
        token, assertion = signed(mfa, ada, other)
        end = call("passkeys.revoke", first.verified, second.passkey.id)
        calls = [call("verify", token, assertion), *[end] * 3, call("passkeys.rename", ada, second.passkey.id, "A key")]
        results = crowd(calls)
        assert results[0].outcome in {"success", "passkey_refused"}
        assert sorted(str(one.value) for one in results[1:4]) == ["False", "False", "True"]
        assert [one.is_active for one in mfa.passkeys.list(ada)].count(True) == 1
        assert mfa.status(ada).altered == ()
        assert signs_in(mfa, ada, passkey)
        mfa.reset(ada, by="grace", reason="once more")
    assert "rows_altered" not in kinds(mfa, ada)
    assert mfa.events.verify(ada).is_intact


def perform(pipe: Connection, face: str, url: str, keys: str, now: datetime, calls: list[Call]) -> None:
    """Be one of the processes: say when ready, wait for the word, and tell the outcomes."""
    with WAYS[face](url, plain_settings(keys=keys, public_url=ORIGIN, deadline=60), Clock(now)) as crowd:
        crowd([call("events.export", limit=1)])
        pipe.send("ready")
        if pipe.poll(PATIENCE) and pipe.recv() == "go":
            pipe.send(outcomes(crowd(calls, hands=min(20, len(calls)))))


@pytest.mark.requirement("R11", "R116")
@pytest.mark.attack("A6", "A8")
@pytest.mark.parametrize("face", ["blocking"])
def test_one_assertion_has_one_winner_among_processes(
    mfa: MFA, migrated: Database, keys: str, clock: Clock, ada: int, passkey: VirtualPasskey
) -> None:
    registered(mfa, ada, passkey)
    token, assertion = signed(mfa, ada, passkey)
    calls = [call("verify", token, assertion)] * 17
    with contextlib.ExitStack() as running:
        children = [
            running.enter_context(started(perform, face, migrated.url, keys, clock.now, calls)) for face in FACES
        ]
        assert [child.hear() for child in children] == ["ready"] * len(FACES)
        for child in children:
            child.pipe.send("go")
        told: list[Counter[str]] = [child.hear() for child in children]
        assert [child.end() for child in children] == [0] * len(FACES)
    assert sum(told, Counter()) == {"success": 1, "challenge_expired": 50}
    assert "passkey_cloned" not in kinds(mfa, ada)
    assert mfa.events.verify(ada).is_intact
