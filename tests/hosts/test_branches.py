"""Twofold's history as a branch of the host's: it works, for those who know its traps. This is where they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hosts.conftest import OURS, Host
from twofold.schema import spec

if TYPE_CHECKING:
    from collections.abc import Callable

SHOP = {"accounts", "nicknames", "alembic_version"}


def test_the_branch_of_twofold_moves_under_its_own_name(host: Callable[..., Host]) -> None:
    shop = host("branches", users="accounts.number")
    last = shop.do("alembic upgrade c1", "alembic upgrade heads", "twofold db verify", "alembic check")
    assert "No new upgrade operations detected" in last
    assert shop.tables() == {*SHOP, *OURS}
    assert "c2" in shop.recorded()

    # The third trap: one step back is a step of the host.
    shop.do("alembic downgrade -1")
    assert shop.tables() == {"accounts", "alembic_version", *OURS}
    shop.do("alembic downgrade twofold@-1")
    assert shop.tables() == {"accounts", "alembic_version"}
    shop.do("alembic upgrade twofold@head")
    assert shop.tables() == {"accounts", "alembic_version", *OURS}


@pytest.mark.backends("postgresql")
def test_head_is_no_longer_one(host: Callable[..., Host]) -> None:
    shop = host("branches", users="accounts.number")
    assert "Multiple head revisions are present" in shop.refused("alembic upgrade head")
    assert "Multiple heads are present" in shop.refused("alembic revision -m more")
    assert "Multiple heads are present" in shop.refused("alembic stamp head")
    assert shop.tables() <= {"alembic_version"}


@pytest.mark.backends("postgresql")
def test_nothing_says_that_accounts_come_first(host: Callable[..., Host]) -> None:
    shop = host("branches", users="accounts.number")
    for command in ("alembic upgrade heads", "alembic upgrade shop@head"):
        assert "There is no accounts.number in the database" in shop.refused(command)
    assert shop.tables() <= {"alembic_version"}


@pytest.mark.backends("postgresql")
def test_what_refers_to_a_branch_goes_back_before_it(host: Callable[..., Host]) -> None:
    shop = host("branches", users="accounts.number")
    shop.do("alembic upgrade c1", "alembic upgrade heads", "alembic downgrade twofold@base")
    assert shop.tables() == {"accounts", "alembic_version"}
    assert shop.recorded() == {"c1"}
    assert "was not recorded" in shop.refused(f"alembic stamp {spec.REVISION}")
