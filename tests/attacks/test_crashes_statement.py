"""A process that dies at any statement of an operation leaves all of it or none of it."""

from __future__ import annotations

import itertools
import signal
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.attacks.dying import ACTS, Held, nursery
from tests.attacks.processes import started
from tests.people import FIREFOX, Clock, Enrolment, challenged, enroll, kinds
from twofold import MFA, Rejected
from twofold.metadata import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from tests.databases import Database


@pytest.fixture
def face() -> str:
    """Both faces send the same statements."""
    return "blocking"


def hold(mfa: MFA, clock: Clock, enrolment: Enrolment) -> Held:
    clock.forward(hours=2)
    user_id, phone = enrolment.user_id, enrolment.phone
    verified = mfa.reverify(user_id, phone.code(steps=-1))
    mfa.trusted_devices.revoke_all(user_id)
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    (backup_code, *_) = mfa.backup_codes.regenerate(verified)
    token = challenged(mfa, user_id)
    return Held(user_id, phone.code(), phone.wrong_code(), backup_code, token, verified.token, device.token)


def contents(engine: sa.Engine) -> list[list[Any]]:
    with engine.connect() as connection:
        return [list(connection.exec_driver_sql(f"SELECT * FROM {name} ORDER BY id")) for name in NAMES]


def refusal(mfa: MFA, user_id: int, code: str) -> str:
    with pytest.raises(Rejected) as rejected:
        mfa.reverify(user_id, code)
    return str(rejected.value.reason)


IS_DONE: Final[dict[str, tuple[str, Callable[[MFA, Held], bool]]]] = {
    "verify": ("code_accepted", lambda mfa, held: refusal(mfa, held.user_id, held.code) == "code_already_used"),
    "guess": ("code_refused", lambda mfa, held: mfa.status(held.user_id).failed_attempts == 1),
    "spend": ("code_accepted", lambda mfa, held: refusal(mfa, held.user_id, held.backup_code) == "code_already_used"),
    "regenerate": (
        "backup_codes_regenerated",
        lambda mfa, held: (
            mfa.backup_codes.remaining(held.user_id) == 10
            and refusal(mfa, held.user_id, held.backup_code) == "wrong_code"
        ),
    ),
    "trust": ("device_trusted", lambda mfa, held: mfa.status(held.user_id).trusted_devices == 2),
    "recognize": ("device_recognized", lambda mfa, held: mfa.trusted_devices.list(held.user_id)[0].usage_count == 1),
    "disable": ("totp_disabled", lambda mfa, held: not mfa.status(held.user_id).is_enrolled),
}


@pytest.mark.requirement("R64", "R101")
@pytest.mark.attack("A8")
@pytest.mark.parametrize("act", ACTS)
def test_an_operation_is_done_or_not_wherever_its_process_dies(
    mfa: MFA, migrated: Database, keys: str, clock: Clock, ada: int, act: str
) -> None:
    enrolment, engine = enroll(mfa, ada, clock), migrated.engine()
    kind, is_done = IS_DONE[act]
    held, found = hold(mfa, clock, enrolment), set[bool]()
    with started(nursery, migrated.url, keys) as child:
        for place in itertools.count():
            before = contents(engine)
            child.pipe.send((act, held, clock.now, place))
            code = child.hear()
            if code == 0:
                break
            assert code == -signal.SIGKILL
            assert mfa.events.verify(ada).is_intact
            has_happened = contents(engine) != before
            found.add(has_happened)
            # Where nothing has happened nobody heard an answer, and the next process asks for the same.
            if has_happened:
                assert kinds(mfa, ada)[-1] == kind
                assert is_done(mfa, held)
                if not mfa.status(ada).is_enrolled:
                    enrolment = enroll(mfa, ada, clock)
                held = hold(mfa, clock, enrolment)
    assert found == {True, False}
    assert kinds(mfa, ada)[-1] == kind
    assert is_done(mfa, held)
