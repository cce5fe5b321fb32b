"""The four tables as one revision of the host's own history, in a file that `twofold db write-revision` writes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.hosts.conftest import OURS, Host
from tests.people import Clock, enroll, log_in, plain_settings
from twofold import MFA
from twofold.schema import spec
from twofold.schema.history import PASSKEYS

if TYPE_CHECKING:
    from collections.abc import Callable

ADA = UUID("0190a7c8-d6e0-4f2b-8a3c-000000000001")
WRITE = "twofold db write-revision --after head --folder versions"


def add_ada(shop: Host) -> None:
    accounts = sa.table("accounts", sa.column("uuid", sa.Uuid()), sa.column("email"))
    with shop.database.engine().begin() as connection:
        connection.execute(sa.insert(accounts).values(uuid=ADA, email="ada@example.com"))


def test_one_history_brings_the_tables_and_takes_them_back(host: Callable[..., Host], keys: str) -> None:
    shop = host("one_history", users="accounts.uuid")
    assert "Next: alembic upgrade head" in shop.do(WRITE)
    assert "No new upgrade operations detected" in shop.do("alembic upgrade head", "alembic check")
    assert shop.tables() == {"accounts", "alembic_version", *OURS}
    assert shop.recorded() == {spec.REVISION}
    assert f"{spec.VERSION_TABLE} does not record" in shop.do("twofold db verify")

    add_ada(shop)
    clock, settings = Clock(datetime.now(UTC)), plain_settings(users="accounts.uuid", keys=keys)
    mfa = MFA(shop.database.engine(), settings, clock=clock)
    enrolment = enroll(mfa, ADA, clock)
    assert log_in(mfa, ADA, enrolment.phone.code()).user_id == ADA

    # Twofold's own command finds nothing of its own to take back; the host's history does.
    assert "nothing to take back" in shop.do("twofold db downgrade --yes")
    shop.do("alembic downgrade -1")
    assert shop.tables() == {"accounts", "alembic_version"}
    assert shop.recorded() == {"b1"}


@pytest.mark.backends("postgresql", "mariadb")
def test_tables_that_differ_stop_the_hosts_history_with_a_sentence(host: Callable[..., Host]) -> None:
    shop = host("one_history", users="accounts.uuid")
    shop.do(WRITE, "alembic upgrade b1")
    shop.execute("CREATE TABLE mfa_events (id INTEGER PRIMARY KEY)")
    before = shop.tables()
    for command in ("alembic upgrade head", f"alembic stamp {spec.REVISION}"):
        said = shop.refused(command)
        assert "FAILED: " in said
        assert "mfa_events: column user_id: missing" in said
        assert (shop.tables(), shop.recorded()) == (before, {"b1"})


@pytest.mark.backends("sqlite")
def test_the_file_is_ten_lines_that_pin_what_it_stands_on(host: Callable[..., Host]) -> None:
    shop = host("one_history", users="accounts.uuid")
    shop.do(WRITE)
    text = (shop.folder / "versions" / f"{spec.REVISION}_add_mfa_tables.py").read_text()
    _, _, code = text.partition('"""\n\n')
    assert [line for line in code.splitlines() if line] == [
        "from twofold.schema import add_mfa_tables",
        'revision = "769e76ff65d7"',
        'down_revision = "b1"',
        "branch_labels = None",
        "depends_on = None",
        "def upgrade() -> None:",
        '    add_mfa_tables.upgrade("accounts.uuid")',
        "def downgrade() -> None:",
        "    add_mfa_tables.downgrade()",
    ]
    (shop.folder / "versions" / f"{spec.REVISION}_add_mfa_tables.py").rename(shop.folder / "versions" / "renamed.py")
    assert "is in versions already" in shop.refused(WRITE)


@pytest.mark.backends("sqlite")
def test_users_that_come_later_in_the_history_are_missed_in_a_sentence(host: Callable[..., Host]) -> None:
    shop = host("one_history", users="people.id")
    shop.do(WRITE)
    assert "FAILED: There is no people.id in the database." in shop.refused("alembic upgrade head")


def test_one_history_of_the_hosts_takes_it_behind_the_four(host: Callable[..., Host]) -> None:
    shop = host("one_history", users="accounts.uuid")
    assert "Next: alembic upgrade head" in shop.do(WRITE, f"{WRITE} --passkeys")
    text = (shop.folder / "versions" / f"{PASSKEYS.revision}_add_the_table_of_passkeys.py").read_text()
    assert f'down_revision = "{spec.REVISION}"' in text
    assert 'add_passkeys_table.upgrade("accounts.uuid")' in text
    assert "No new upgrade operations detected" in shop.do("alembic upgrade head", "alembic check")
    assert shop.tables() == {"accounts", "alembic_version", *spec.NAMES, *PASSKEYS.names}
    assert shop.recorded() == {PASSKEYS.revision}
    said = shop.do("twofold db verify")
    assert f"The table of passkeys conforms to revision {PASSKEYS.revision}, which" in said
    shop.do("alembic downgrade -1")
    assert shop.tables() == {"accounts", "alembic_version", *spec.NAMES}
    shop.do("alembic downgrade -1")
    assert shop.tables() == {"accounts", "alembic_version"}
