"""A batch that meets a row it cannot write leaves that row as it was, and the others done."""

from __future__ import annotations

from tests.people import Clock, Open, Sql, enroll, log_in
from twofold.keyring import generate_key


def test_a_rotation_that_meets_a_forged_line_half_writes_nothing(
    open_mfa: Open, ada: int, grace: int, clock: Clock, keys: str, sql: Sql
) -> None:
    mfa = open_mfa()
    enroll(mfa, ada, clock)
    graces = enroll(mfa, grace, clock)
    sql(
        "INSERT INTO mfa_events (user_id, seq, event_type, event_status, created_at)"
        " VALUES (:user, 3, 'code_accepted', 'success', '2026-01-01 00:00:00')",
        user=ada,
    )
    before = sql("SELECT * FROM user_mfa_secrets WHERE user_id = :ada", ada=ada)
    both = open_mfa(keys=f"{generate_key('k2')},{keys}")
    rotated = both.keys.rotate()
    assert (rotated.done, rotated.skipped) == (1, (str(ada),))
    assert sql("SELECT * FROM user_mfa_secrets WHERE user_id = :ada", ada=ada) == before
    assert log_in(both, grace, graces.phone.code())
    assert both.events.verify(grace).is_intact


def test_an_adoption_that_meets_a_taken_number_half_writes_nothing(
    open_mfa: Open, ada: int, grace: int, clock: Clock, sql: Sql
) -> None:
    for user in (ada, grace):
        sql(
            "INSERT INTO user_mfa_secrets (user_id, secret, is_enabled, created_at, updated_at)"
            " VALUES (:user, 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', true, '2026-01-01', '2026-01-01')",
            user=user,
        )
    sql(
        "INSERT INTO mfa_events (user_id, seq, event_type, event_status, created_at)"
        " VALUES (:user, 1, 'login', 'ok', '2026-01-01')",
        user=ada,
    )
    before = sql("SELECT * FROM user_mfa_secrets WHERE user_id = :ada", ada=ada)
    adopted = open_mfa().legacy.adopt()
    assert (adopted.done, adopted.left) == (1, (str(ada),))
    assert sql("SELECT * FROM user_mfa_secrets WHERE user_id = :ada", ada=ada) == before
