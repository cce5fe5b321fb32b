"""A robot is impatient at the sample's pages, with JavaScript and without: no dead end and no false sentence.

`TWOFOLD_ATTACK_MINUTES=10` lets it go on for so long, `TWOFOLD_ATTACK_SEED` does the same things again.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from random import Random, SystemRandom
from typing import TYPE_CHECKING

import pytest

from examples.sample import accounts, tables
from examples.sample.app import build
from tests.chrome import chrome
from tests.impatient import EMAIL, Impatient, Line
from tests.length import IS_WHOLE
from tests.people import Clock, plain_settings
from tests.served import served
from tests.visitors import PASSWORD
from twofold import MFA
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from tests.databases import Database

SECONDS = float(os.environ.get("TWOFOLD_ATTACK_MINUTES", "0.3" if IS_WHOLE else "0.1")) * 60


@pytest.mark.begun_first
@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no script"])
@pytest.mark.backends("sqlite")
def test_whatever_an_impatient_person_does_no_page_is_a_dead_end_or_says_what_is_not_so(
    migrated: Database, *, has_script: bool
) -> None:
    seed = int(os.environ.get("TWOFOLD_ATTACK_SEED", SystemRandom().randrange(10**6)))
    random, clock = Random(seed), Clock(datetime.now(UTC))
    settings = plain_settings(keys=generate_key("k1"), issuer="Acme")
    engine = migrated.engine()
    tables.create(engine)
    line = Line(build(engine, settings, clock=clock))
    with served(line) as url, chrome() as browser:
        context = browser.new_context(locale="en-GB", java_script_enabled=has_script)
        account = accounts.register(engine, EMAIL, PASSWORD)
        person = Impatient(
            context, url, engine, MFA(engine, settings, clock=clock), clock, line, random, account.user_id, seed
        )
        end = time.monotonic() + SECONDS
        person.type_an_address()
        while time.monotonic() < end:
            person.step()
