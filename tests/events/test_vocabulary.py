"""The words of the log: docs/events.md has every kind, status and key of details, and none that is not written."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.attacks.act import refusal
from tests.attacks.acts import ACTS
from tests.attacks.scenes import Scene, hosted
from tests.attacks.test_cryptography import rewrite
from tests.databases import ROOT, add_passkeys
from tests.people import FIREFOX, SAFARI, challenged
from twofold import MissingKey, Tampered
from twofold.kinds import Kind, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database

pytestmark = pytest.mark.backends("sqlite")

_ROW = re.compile(r"^\| `(\w+)` \| (`[^|]*`) \| ([^|]*)\| [^|]+ \|$", re.MULTILINE)
_STATUS = re.compile(r"^\| `(\w+)` \| [^|]+ \|$", re.MULTILINE)


def page() -> str:
    return (ROOT / "docs" / "events.md").read_text(encoding="utf-8")


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """The statuses and the keys of details of every kind that the page has."""
    return {
        kind: (set(re.findall(r"`(\w+)`", statuses)), set(re.findall(r"`(\w+)`", keys)))
        for kind, statuses, keys in _ROW.findall(page())
    }


@pytest.fixture
def face() -> str:
    """What a line says is decided in what both faces share."""
    return "blocking"


@pytest.fixture
def scene(migrated: Database) -> Iterator[Scene]:
    add_passkeys(migrated)
    with hosted(migrated.engine()) as host:
        yield host.scene(migrated.engine(), suspend_after=5)


@pytest.mark.requirement("R109")
def test_every_kind_and_status_is_documented_and_every_one_that_is_documented_exists() -> None:
    assert list(documented()) == [str(kind) for kind in Kind]
    assert _STATUS.findall(page()) == [str(status) for status in Status]
    for kind, (statuses, _) in documented().items():
        assert statuses, kind
        assert statuses <= {str(status) for status in Status}, kind


def log_of(scene: Scene) -> dict[str, tuple[set[str], set[str]]]:
    """The statuses and the keys of details of every kind that was written."""
    written: defaultdict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for event in scene.mfa.events.export(after=0, limit=10_000):
        statuses, keys = written[event.kind]
        statuses.add(event.status)
        keys.update(event.details)
    return dict(written)


def alarms(scene: Scene) -> None:
    """Suspend one user, and break what is stored of others."""
    ada = scene.enrolled()
    for _ in range(5):
        refusal(lambda: scene.mfa.reverify(ada.user_id, ada.phone.wrong_code()))
    for value, error in (("v1:k9:00000000:AAAA", MissingKey), ("v1:k1:AAAA", Tampered)):
        ada = scene.enrolled()
        rewrite(scene.mfa, scene.engine, ada.user_id, secret=value)
        with contextlib.suppress(error):
            scene.mfa.reverify(ada.user_id, ada.phone.code())
    ada = scene.enrolled()
    scene.clock.forward(days=1)
    refusal(lambda: scene.mfa.reverify(ada.user_id, ada.phone.wrong_code()))
    scene.clock.forward(days=-1)
    refusal(lambda: scene.mfa.reverify(ada.user_id, ada.phone.code()))
    ada = scene.enrolled()
    scene.sql("UPDATE mfa_backup_codes SET is_used = true WHERE user_id = :user", user=ada.user_id)
    refusal(lambda: scene.mfa.reverify(ada.user_id, ada.backup_codes[0]))


def crowds(scene: Scene) -> None:
    """More lines than a day has room for: challenges, what is begun, refusals that do not count, answers again."""
    ada, grace = scene.proven(), scene.proven()
    scene.mfa.totp.disable(grace.verified)
    for _ in range(50):
        challenged(scene.mfa, ada.user_id)
        scene.mfa.challenge(grace.user_id)
    scene.clock.forward(hours=1)
    challenged(scene.mfa, ada.user_id)
    scene.mfa.challenge(grace.user_id)
    for begin in (scene.mfa.totp.begin, scene.mfa.passkeys.begin):
        scene.clock.forward(hours=1)
        begin(grace.user_id, account_name="grace@example.com")
    scene.clock.forward(hours=1)
    refusal(lambda: scene.mfa.reverify(ada.user_id, "-".join(["00000"] * 5)))
    refusal(lambda: scene.mfa.totp.disable(grace.verified))
    scene.clock.forward(minutes=55)
    token = challenged(scene.mfa, ada.user_id)
    scene.clock.forward(minutes=5)
    code = ada.phone.code()
    scene.mfa.verify(token, code)
    scene.mfa.repeat(token, code)


@pytest.mark.requirement("R98", "R109")
def test_what_is_written_is_what_is_documented(scene: Scene) -> None:
    for act in ACTS.values():
        refusal(act(scene).ask)
    alarms(scene)
    crowds(scene)
    ada = scene.proven()
    scene.mfa.trusted_devices.trust(ada.verified, request=FIREFOX)
    device = scene.mfa.trusted_devices.trust(ada.verified, request=FIREFOX)
    scene.mfa.challenge(ada.user_id, device_token=device.token, request=SAFARI)
    scene.mfa.trusted_devices.revoke_all(ada.user_id)
    assert log_of(scene) == documented()
