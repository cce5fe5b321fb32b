"""A database with the table of passkeys, settings that name a domain, and passkeys without hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.databases import add_passkeys
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from tests.databases import Database
    from tests.people import Open
    from twofold import MFA

ORIGIN = "https://example.com"


@pytest.fixture
def migrated(migrated: Database) -> Database:
    """The four tables, and that of passkeys."""
    add_passkeys(migrated)
    return migrated


@pytest.fixture
def mfa(open_mfa: Open) -> MFA:
    return open_mfa(public_url=ORIGIN)


@pytest.fixture
def passkey() -> VirtualPasskey:
    """Ada's, bound to one machine, which verifies her."""
    return VirtualPasskey(ORIGIN)
