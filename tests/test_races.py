"""Many at once: one code has one winner, and no guess escapes the counter. Real threads, tasks and processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.people import FIREFOX, Clock, Phone, Sql, add_user, challenged, enroll, log_in, plain_settings
from twofold import MFA, AsyncMFA, Challenge, MFAError, Rejected
from twofold.database import create_async_engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database

THREADS = 50


@pytest.fixture
def face() -> str:
    """These tests choose their faces themselves."""
    return "blocking"


def outcome(call: Callable[[], Any]) -> str:
    """What a caller sees: success, the reason of a refusal, or the name of another error."""
    try:
        call()
    except Rejected as rejected:
        return str(rejected.reason)
    except MFAError as error:
        return type(error).__name__
    return "success"


def at_once(calls: list[Callable[[], Any]]) -> Counter[str]:
    """Call all of them from threads that start together."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> str:
        barrier.wait()
        return outcome(call)

    with ThreadPoolExecutor(len(calls)) as pool:
        return Counter(pool.map(run, calls))


def test_fifty_threads_with_one_code_have_one_winner(mfa: MFA, ada: int, clock: Clock) -> None:
    enrolment = enroll(mfa, ada, clock)
    code = enrolment.phone.code()
    tokens = [challenged(mfa, ada) for _ in range(THREADS)]
    results = at_once([lambda token=token: mfa.verify(token, code) for token in tokens])  # type: ignore[misc]
    assert results["success"] == 1
    assert results.total() == THREADS
    assert set(results) <= {"success", "code_already_used", "waiting", "challenge_expired"}
    report = mfa.events.verify(ada)
    assert report.is_intact
    assert report.length == 2 + 2 * THREADS


def test_fifty_tasks_with_one_code_have_one_winner(
    mfa: MFA, migrated: Database, ada: int, clock: Clock, keys: str
) -> None:
    enrolment = enroll(mfa, ada, clock)
    code = enrolment.phone.code()

    async def story() -> Counter[str]:
        engine = create_async_engine(migrated.url)
        awaited = AsyncMFA(engine, plain_settings(keys=keys), clock=clock)

        async def one(token: str) -> str:
            try:
                await awaited.verify(token, code)
            except Rejected as rejected:
                return str(rejected.reason)
            return "success"

        challenges = [await awaited.challenge(ada) for _ in range(THREADS)]
        tokens = [challenge.token for challenge in challenges if isinstance(challenge, Challenge)]
        results = Counter(await asyncio.gather(*(one(token) for token in tokens)))
        await engine.dispose()
        return results

    results = asyncio.run(story())
    assert (results["success"], results.total()) == (1, THREADS)
    assert mfa.events.verify(ada).is_intact


def test_one_backup_code_has_one_winner(mfa: MFA, ada: int, clock: Clock, sql: Sql) -> None:
    enrolment = enroll(mfa, ada, clock)
    tokens = [challenged(mfa, ada) for _ in range(THREADS)]
    code = enrolment.backup_codes[0]
    results = at_once([lambda token=token: mfa.verify(token, code) for token in tokens])  # type: ignore[misc]
    assert (results["success"], results.total()) == (1, THREADS)
    assert mfa.backup_codes.remaining(ada) == 9
    assert sql("SELECT count(*) FROM mfa_backup_codes WHERE used_at IS NOT NULL")[0][0] == 1


def test_ten_different_backup_codes_all_work(mfa: MFA, ada: int, clock: Clock) -> None:
    enrolment = enroll(mfa, ada, clock)
    results = at_once([lambda code=code: mfa.reverify(ada, code) for code in enrolment.backup_codes])  # type: ignore[misc]
    assert results == {"success": 10}
    assert mfa.backup_codes.remaining(ada) == 0


def test_parallel_guesses_do_not_outrun_the_counter(mfa: MFA, ada: int, clock: Clock) -> None:
    enrolment = enroll(mfa, ada, clock)
    token, wrong = challenged(mfa, ada), enrolment.phone.wrong_code()
    results = at_once([lambda: mfa.verify(token, wrong)] * THREADS)
    assert results == {"wrong_code": 5, "waiting": THREADS - 5}
    assert mfa.status(ada).failed_attempts == 5


def test_a_batch_and_a_code_of_the_old_one_never_both_count(mfa: MFA, ada: int, clock: Clock) -> None:
    enrolment = enroll(mfa, ada, clock)
    verified, codes = log_in(mfa, ada, enrolment.phone.code()), list(enrolment.backup_codes)
    for _ in range(20):
        fresh: list[tuple[str, ...]] = []
        calls: list[Callable[[], Any]] = [
            lambda kept=fresh, proof=verified: kept.append(mfa.backup_codes.regenerate(proof)),  # type: ignore[misc]
            lambda code=codes[0]: mfa.reverify(ada, code),  # type: ignore[misc]
        ]
        results = at_once(calls)
        assert results["success"] >= 1
        assert mfa.backup_codes.remaining(ada) == 10
        assert outcome(lambda code=codes[1]: mfa.reverify(ada, code)) != "success"  # type: ignore[misc]
        codes = list(fresh[0])
        clock.forward(seconds=1)
        verified = mfa.reverify(ada, codes.pop(0))
        codes = list(mfa.backup_codes.regenerate(verified))


def test_two_first_enrolments_at_once_leave_one_row(mfa: MFA, ada: int, sql: Sql) -> None:
    results = at_once([lambda: mfa.totp.begin(ada, account_name="ada@example.com")] * 10)
    assert results == {"success": 10}
    assert sql("SELECT count(*) FROM user_mfa_secrets")[0][0] == 1
    assert mfa.events.verify(ada).length == 10
    assert mfa.events.verify(ada).is_intact


def test_one_rotating_token_has_one_line(mfa: MFA, ada: int, clock: Clock) -> None:
    enrolment = enroll(mfa, ada, clock)
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolment.phone.code()), request=FIREFOX)
    rotated: list[Any] = []
    call: Callable[[], Any] = lambda: rotated.append(  # noqa: E731
        mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    )
    assert at_once([call] * 10) == {"success": 10}
    assert all(not cleared for cleared in rotated)
    assert sum(cleared.device is not None for cleared in rotated) == 1


def test_many_users_at_once_do_not_wait_for_each_other(mfa: MFA, migrated: Database, clock: Clock) -> None:
    users = [add_user(migrated, f"user{number}@example.com") for number in range(10)]
    phones = {user: Phone(mfa.totp.begin(user, account_name="someone").secret, clock) for user in users}
    calls = [lambda user=user: mfa.totp.confirm(user, phones[user].code()) for user in users]
    assert at_once(list(calls)) == {"success": 10}
    assert all(mfa.events.verify(user).is_intact for user in users)


def test_processes_share_the_one_winner(mfa: MFA, migrated: Database, ada: int, clock: Clock, keys: str) -> None:
    enrolment = enroll(mfa, ada, clock)
    told = f"{challenged(mfa, ada)}\n{enrolment.phone.code()}\n{clock.now.isoformat()}\n"
    environment = os.environ | {"TWOFOLD_DATABASE_URL": migrated.url, "TWOFOLD_KEYS": keys}
    command = [sys.executable, "-m", "tests.answering"]
    with contextlib.ExitStack() as running:
        processes = [
            running.enter_context(
                subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(4)
        ]
        pipes = [(process.stdin, process.stdout) for process in processes if process.stdin and process.stdout]
        assert [output.readline() for _, output in pipes] == ["ready\n"] * 4
        for told_to, _ in pipes:
            told_to.write(told)
            told_to.close()
        counted = Counter(output.read().strip() for _, output in pipes)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert (counted["success"], counted.total()) == (1, 4)
