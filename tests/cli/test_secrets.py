"""`twofold secrets import-legacy`: what was kept before Twofold comes into its care."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.people import Clock, log_in
from tests.upkeep.test_legacy import FERNET, leave

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell
    from tests.databases import Database
    from tests.people import Sql
    from twofold import MFA

pytestmark = pytest.mark.backends("sqlite")


@pytest.fixture
def face() -> str:
    return "blocking"


def test_an_operator_brings_everybody_along(
    shell: Shell, migrated: Database, sql: Sql, ada: int, grace: int, clock: Clock, keys: str, folder: Path, mfa: MFA
) -> None:
    sealed, plain = leave(sql, ada, clock, sealed=True), leave(sql, grace, clock)
    where = {"database_url": migrated.url, "keys": keys}

    tried = shell("secrets", "import-legacy", "--dry-run", "--json", **where)
    assert (tried.code, tried.data["done"], tried.data["left"]) == (1, 1, [str(ada)])
    assert mfa.legacy.survey().rows == 2

    (folder / "old.key").write_text(FERNET + "\n")
    (folder / "old.key").chmod(0o600)
    answer = shell("secrets", "import-legacy", "--legacy-fernet-key-file", "old.key", **where)
    assert answer.code == 0
    assert "Adopted 2 rows." in answer.out
    assert "Backups, write-ahead logs and replicas" in answer.out
    for secret in (FERNET, sealed.phone.secret, plain.phone.secret):
        assert secret not in answer.out + answer.err
    assert log_in(mfa, ada, sealed.phone.code())
    assert shell("secrets", "import-legacy", **where).code == 0


def test_a_key_file_that_is_none_is_a_sentence(shell: Shell, migrated: Database, keys: str, folder: Path) -> None:
    where = {"database_url": migrated.url, "keys": keys}
    missing = shell("secrets", "import-legacy", "--legacy-fernet-key-file", "nowhere", **where)
    assert (missing.code, missing.out) == (78, "")
    assert "cannot be read" in missing.err
