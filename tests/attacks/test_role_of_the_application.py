"""An application whose role may only read and add events, as an administrator grants it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from tests.attacks.intruder import CODES, DEVICES, SECRETS, Intruder
from tests.people import FIREFOX, Clock, enroll, log_in, plain_settings
from twofold import MFA, Rejected, Tampered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database


@pytest.fixture
def limited(migrated: Database) -> Iterator[sa.Engine]:
    """The engine of such an application."""
    role = f"app_{secrets.token_hex(4)}"
    with migrated.engine().begin() as connection:
        for statement in (
            f"CREATE ROLE {role}",
            f"GRANT SELECT ON users TO {role}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON user_mfa_secrets, mfa_backup_codes, mfa_device_trusts TO {role}",
            f"GRANT SELECT, INSERT ON mfa_events TO {role}",
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        ):
            connection.exec_driver_sql(statement)
    engine = sa.create_engine(migrated.engine().url, connect_args={"options": f"-c role={role}"})
    yield engine
    engine.dispose()


@pytest.mark.requirement("R104")
@pytest.mark.backends("postgresql")
def test_a_role_that_cannot_change_events_can_do_everything_else(
    limited: sa.Engine, ada: int, clock: Clock, keys: str
) -> None:
    mfa = MFA(limited, plain_settings(keys=keys), clock=clock)
    enrolment = enroll(mfa, ada, clock)
    with pytest.raises(Rejected):
        mfa.reverify(ada, enrolment.phone.wrong_code())
    verified = log_in(mfa, ada, enrolment.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    assert not mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert log_in(mfa, ada, mfa.backup_codes.regenerate(verified)[0])
    assert mfa.proof(verified.token)
    mfa.password_changed(ada)
    mfa.keys.rotate()
    mfa.reset(ada, by="grace", reason="lost phone")
    mfa.repair(ada, by="grace", reason="nightly check")
    assert mfa.events.verify(ada).is_intact
    assert mfa.events.export()
    for statement in ("UPDATE mfa_events SET event_type = 'x'", "DELETE FROM mfa_events", "TRUNCATE mfa_events"):
        with limited.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(sa.text(statement))


@pytest.mark.requirement("R103", "R104")
@pytest.mark.backends("postgresql")
def test_a_role_that_cannot_change_events_cannot_return_a_user_to_an_earlier_moment(
    limited: sa.Engine, ada: int, clock: Clock, keys: str
) -> None:
    """All that is left of the return is an alarm: the row meets its own later lines."""
    mfa = MFA(limited, plain_settings(keys=keys), clock=clock)
    enrolment = enroll(mfa, ada, clock)
    intruder = Intruder(limited)
    before = intruder.copy(SECRETS, CODES, DEVICES)
    log_in(mfa, ada, enrolment.backup_codes[0])
    intruder.put_back(before)
    for code in (enrolment.backup_codes[0], enrolment.phone.code()):
        with pytest.raises(Tampered):
            mfa.reverify(ada, code)
    with pytest.raises(Tampered):
        mfa.challenge(ada)
