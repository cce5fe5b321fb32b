"""Every operation that writes, as somebody asks for it: who, what it answers, and the lines that it leaves."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pyotp import random_base32

from tests.attacks.act import Act, refusal
from tests.attacks.passkey_acts import PASSKEY_ACTS
from tests.people import FIREFOX, Phone, challenged
from twofold import Challenge, Cleared

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.scenes import Scene
    from tests.people import Enrolment


def begin(scene: Scene) -> Act:
    mfa, user = scene.mfa, scene.add_user()
    return Act(
        user,
        lambda: mfa.totp.begin(user, account_name="ada"),
        ("totp_begun",),
        lambda begun: mfa.totp.confirm(user, Phone(begun.secret, scene.clock).code()),
    )


def begin_again(scene: Scene) -> Act:
    mfa, user = scene.mfa, scene.add_user()
    mfa.totp.begin(user, account_name="ada")
    return Act(
        user,
        lambda: mfa.totp.begin(user, account_name="ada"),
        ("totp_begun",),
        lambda begun: mfa.totp.confirm(user, Phone(begun.secret, scene.clock).code()),
    )


def begin_in_place(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    return Act(
        ada.user_id,
        lambda: mfa.totp.begin(ada.user_id, account_name="ada", verified=ada.verified),
        ("totp_begun",),
        lambda begun: mfa.totp.confirm(ada.user_id, Phone(begun.secret, scene.clock).code()),
    )


def confirm(scene: Scene) -> Act:
    mfa, user = scene.mfa, scene.add_user()
    phone = Phone(mfa.totp.begin(user, account_name="ada").secret, scene.clock)
    return Act(
        user,
        lambda: mfa.totp.confirm(user, phone.code()),
        ("totp_confirmed",),
        lambda enrolled: mfa.reverify(user, enrolled.backup_codes[0]) and mfa.proof(enrolled.verified.token),
    )


def confirm_wrongly(scene: Scene) -> Act:
    mfa, user = scene.mfa, scene.add_user()
    phone = Phone(mfa.totp.begin(user, account_name="ada").secret, scene.clock)
    return Act(
        user,
        lambda: mfa.totp.confirm(user, phone.wrong_code()),
        ("code_refused",),
        lambda _: mfa.totp.confirm(user, phone.code()),
        "wrong_code",
    )


def disable(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    return Act(
        ada.user_id,
        lambda: mfa.totp.disable(ada.verified),
        ("totp_disabled",),
        lambda _: not mfa.status(ada.user_id).is_enrolled,
    )


def challenge(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    return Act(
        ada.user_id,
        lambda: mfa.challenge(ada.user_id),
        ("challenged",),
        lambda asked: mfa.verify(asked.token, ada.phone.code()),
    )


def challenge_without_a_factor(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    mfa.totp.disable(ada.verified)
    return Act(ada.user_id, lambda: mfa.challenge(ada.user_id), ("cleared",), lambda cleared: not cleared)


def challenge_of_a_device(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    device = mfa.trusted_devices.trust(ada.verified, request=FIREFOX)

    def holds(cleared: Any) -> bool:
        assert isinstance(cleared, Cleared)
        assert cleared.device is not None
        scene.clock.forward(minutes=5)
        return not mfa.challenge(ada.user_id, device_token=cleared.device.token, request=FIREFOX)

    return Act(
        ada.user_id,
        lambda: mfa.challenge(ada.user_id, device_token=device.token, request=FIREFOX),
        ("device_recognized",),
        holds,
    )


def _old_and_current(scene: Scene, ada: Enrolment) -> tuple[str, str]:
    """A token of a device from long ago, and the one that it has now."""
    old = token = scene.mfa.trusted_devices.trust(ada.verified, request=FIREFOX).token
    for _ in range(3):
        cleared = scene.mfa.challenge(ada.user_id, device_token=token, request=FIREFOX)
        assert isinstance(cleared, Cleared)
        assert cleared.device is not None
        token = cleared.device.token
        scene.clock.forward(minutes=10)
    return old, token


def challenge_of_a_contested_device(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    old, _ = _old_and_current(scene, ada)

    def holds(asked: Any) -> bool:
        assert isinstance(asked, Challenge)
        (device,) = mfa.trusted_devices.list(ada.user_id)
        return device.is_contested and mfa.status(ada.user_id).trusted_devices == 0

    return Act(
        ada.user_id,
        lambda: mfa.challenge(ada.user_id, device_token=old, request=FIREFOX),
        ("device_contested", "challenged"),
        holds,
    )


def challenge_of_a_stolen_device(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    old, current = _old_and_current(scene, ada)
    assert mfa.challenge(ada.user_id, device_token=old, request=FIREFOX)

    def holds(asked: Any) -> bool:
        assert isinstance(asked, Challenge)
        (device,) = mfa.trusted_devices.list(ada.user_id)
        return device.revoked_at is not None

    return Act(
        ada.user_id,
        lambda: mfa.challenge(ada.user_id, device_token=current, request=FIREFOX),
        ("device_theft", "challenged"),
        holds,
    )


def verify(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    token, code = challenged(mfa, ada.user_id), ada.phone.code()

    def holds(verified: Any) -> bool:
        assert mfa.proof(verified.token) == verified
        assert refusal(lambda: mfa.verify(token, code)) == "challenge_expired"
        return refusal(lambda: mfa.reverify(ada.user_id, code)) == "code_already_used"

    return Act(ada.user_id, lambda: mfa.verify(token, code), ("code_accepted",), holds)


def repeat(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    token, code = challenged(mfa, ada.user_id), ada.phone.code()
    mfa.verify(token, code)
    return Act(
        ada.user_id,
        lambda: mfa.repeat(token, code),
        ("answer_repeated",),
        lambda verified: mfa.proof(verified.token).user_id == ada.user_id,
    )


def verify_wrongly(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    token, code, wrong = challenged(mfa, ada.user_id), ada.phone.code(), ada.phone.wrong_code()
    return Act(
        ada.user_id,
        lambda: mfa.verify(token, wrong),
        ("code_refused",),
        lambda _: mfa.verify(token, code),
        "wrong_code",
        failures=1,
    )


def verify_replayed(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    code = ada.phone.code()
    mfa.reverify(ada.user_id, code)
    token = challenged(mfa, ada.user_id)
    return Act(
        ada.user_id,
        lambda: mfa.verify(token, code),
        ("code_refused",),
        lambda _: mfa.verify(token, ada.backup_codes[0]),
        "code_already_used",
        failures=1,
    )


def verify_on_paper(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    token, code = challenged(mfa, ada.user_id), ada.backup_codes[0]

    def holds(verified: Any) -> bool:
        assert mfa.proof(verified.token) == verified
        assert mfa.backup_codes.remaining(ada.user_id) == 9
        return refusal(lambda: mfa.reverify(ada.user_id, code)) == "code_already_used"

    return Act(ada.user_id, lambda: mfa.verify(token, code), ("code_accepted",), holds)


def verify_on_spent_paper(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    code = ada.backup_codes[0]
    mfa.reverify(ada.user_id, code)
    token = challenged(mfa, ada.user_id)
    return Act(
        ada.user_id,
        lambda: mfa.verify(token, code),
        ("code_refused",),
        lambda _: mfa.verify(token, ada.phone.code()),
        "code_already_used",
    )


def verify_on_false_paper(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    token = challenged(mfa, ada.user_id)
    wrong = "-".join(["00000"] * 5)
    return Act(
        ada.user_id,
        lambda: mfa.verify(token, wrong),
        ("code_refused",),
        lambda _: mfa.verify(token, ada.phone.code()),
        "wrong_code",
    )


def reverify(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    code = ada.phone.code()
    return Act(
        ada.user_id,
        lambda: mfa.reverify(ada.user_id, code),
        ("code_accepted",),
        lambda _: refusal(lambda: mfa.reverify(ada.user_id, code)) == "code_already_used",
    )


def reverify_wrongly(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    wrong = ada.phone.wrong_code()
    return Act(
        ada.user_id,
        lambda: mfa.reverify(ada.user_id, wrong),
        ("code_refused",),
        lambda _: mfa.reverify(ada.user_id, ada.phone.code()),
        "wrong_code",
        failures=1,
    )


def trust(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()

    def holds(device: Any) -> bool:
        assert mfa.status(ada.user_id).trusted_devices == 1
        return not mfa.challenge(ada.user_id, device_token=device.token, request=FIREFOX)

    return Act(
        ada.user_id, lambda: mfa.trusted_devices.trust(ada.verified, request=FIREFOX), ("device_trusted",), holds
    )


def trust_again(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    before = mfa.trusted_devices.trust(ada.verified, request=FIREFOX)

    def again() -> Any:
        return mfa.trusted_devices.trust(ada.verified, replaces=before.token, request=FIREFOX)

    def holds(device: Any) -> bool:
        assert (device.device_id, mfa.status(ada.user_id).trusted_devices) == (before.device_id, 1)
        assert mfa.challenge(ada.user_id, device_token=before.token, request=FIREFOX)
        return not mfa.challenge(ada.user_id, device_token=device.token, request=FIREFOX)

    return Act(ada.user_id, again, ("device_trusted",), holds)


def rename(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    device = mfa.trusted_devices.trust(ada.verified, request=FIREFOX)

    def holds(is_done: Any) -> bool:
        assert is_done
        assert [one.name for one in mfa.trusted_devices.list(ada.user_id)] == ["Ada's laptop"]
        return not mfa.challenge(ada.user_id, device_token=device.token, request=FIREFOX)

    return Act(
        ada.user_id,
        lambda: mfa.trusted_devices.rename(ada.user_id, device.device_id, "Ada's laptop"),
        ("device_renamed",),
        holds,
    )


def revoke(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    device = mfa.trusted_devices.trust(ada.verified, request=FIREFOX)
    return Act(
        ada.user_id,
        lambda: mfa.trusted_devices.revoke(ada.user_id, device.device_id),
        ("device_revoked",),
        lambda is_done: is_done and mfa.status(ada.user_id).trusted_devices == 0,
    )


def revoke_all(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    for _ in range(2):
        mfa.trusted_devices.trust(ada.verified, request=FIREFOX)
    return Act(
        ada.user_id,
        lambda: mfa.trusted_devices.revoke_all(ada.user_id),
        ("device_revoked",),
        lambda number: number == 2 and mfa.status(ada.user_id).trusted_devices == 0,
    )


def regenerate(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()

    def holds(codes: Any) -> bool:
        assert mfa.backup_codes.remaining(ada.user_id) == len(codes)
        assert refusal(lambda: mfa.reverify(ada.user_id, ada.backup_codes[0])) == "wrong_code"
        return refusal(lambda: mfa.reverify(ada.user_id, codes[0])) == "success"

    return Act(ada.user_id, lambda: mfa.backup_codes.regenerate(ada.verified), ("backup_codes_regenerated",), holds)


def regenerate_too_late(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    scene.clock.forward(seconds=301)
    return Act(
        ada.user_id,
        lambda: mfa.backup_codes.regenerate(ada.verified),
        ("management_refused",),
        lambda _: mfa.reverify(ada.user_id, ada.backup_codes[0]),
        "stale",
    )


def keep(scene: Scene) -> Act:
    mfa, ada, session = scene.mfa, scene.proven(), "the session of ada's laptop"
    mfa.backup_codes.regenerate(ada.verified, session=session)

    def holds(is_kept: Any) -> bool:
        assert mfa.backup_codes.shown(ada.user_id, session=session) is None
        return is_kept is mfa.status(ada.user_id).backup_codes_kept is True

    return Act(ada.user_id, lambda: mfa.backup_codes.keep(ada.user_id, session=session), ("backup_codes_kept",), holds)


def password_changed(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    mfa.trusted_devices.trust(ada.verified, request=FIREFOX)
    token = challenged(mfa, ada.user_id)

    def holds(number: Any) -> bool:
        assert (number, mfa.status(ada.user_id).trusted_devices) == (1, 0)
        return refusal(lambda: mfa.verify(token, ada.phone.code())) == "challenge_expired"

    return Act(ada.user_id, lambda: mfa.password_changed(ada.user_id), ("password_changed",), holds)


def reset(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    return Act(
        ada.user_id,
        lambda: mfa.reset(ada.user_id, by="grace", reason="lost the phone"),
        ("reset",),
        lambda _: not mfa.status(ada.user_id).is_enrolled,
    )


def repair(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    scene.sql("UPDATE user_mfa_secrets SET failed_attempts = 77 WHERE user_id = :user", user=ada.user_id)
    return Act(
        ada.user_id,
        lambda: mfa.repair(ada.user_id, by="grace", reason="a mistake by hand"),
        ("repaired",),
        lambda _: not mfa.status(ada.user_id).is_enrolled,
    )


def erase(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()

    def holds(erased: Any) -> bool:
        assert erased.tombstone
        return not any(scene.rows(ada.user_id))

    return Act(ada.user_id, lambda: mfa.erase(ada.user_id), (), holds)


def prune(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.enrolled()
    scene.clock.forward(days=2)
    challenged(mfa, ada.user_id)
    before = scene.clock.now - timedelta(days=1)
    return Act(
        ada.user_id,
        lambda: mfa.events.prune(ada.user_id, before),
        ("pruned",),
        lambda pruned: pruned.events == 2 and mfa.events.verify(ada.user_id).is_intact,
    )


def rotate(scene: Scene) -> Act:
    ada = scene.enrolled()
    ((row,),) = scene.sql("SELECT id FROM user_mfa_secrets WHERE user_id = :user", user=ada.user_id)

    def holds(rotated: Any) -> bool:
        assert (rotated.done, rotated.skipped, rotated.last_id) == (1, (), row)
        return refusal(lambda: scene.mfa.reverify(ada.user_id, ada.phone.code())) == "success"

    return Act(ada.user_id, lambda: scene.rotating.keys.rotate(after=row - 1, limit=1), ("resealed",), holds)


def _older(scene: Scene) -> tuple[int, Phone]:
    """A user as an application without Twofold left her."""
    user, phone = scene.add_user(), Phone(random_base32(), scene.clock)
    scene.sql(
        "INSERT INTO user_mfa_secrets (user_id, secret, is_enabled, is_verified, created_at, updated_at)"
        " VALUES (:user, :secret, true, true, '2026-11-01 08:00:00', '2026-11-01 08:00:00')",
        user=user,
        secret=phone.secret,
    )
    scene.sql(
        "INSERT INTO mfa_backup_codes (user_id, code_hash, created_at) VALUES (:user, :hash, '2026-11-01 08:00:00')",
        user=user,
        hash=hashlib.sha256(b"ABCD2345").hexdigest(),
    )
    return user, phone


def adopt(scene: Scene) -> Act:
    user, phone = _older(scene)
    ((row,),) = scene.sql("SELECT id FROM user_mfa_secrets WHERE user_id = :user", user=user)

    def holds(adopted: Any) -> bool:
        assert (adopted.done, adopted.left, adopted.last_id) == (1, (), row)
        return refusal(lambda: scene.mfa.reverify(user, phone.code())) == "success"

    return Act(user, lambda: scene.mfa.legacy.adopt(after=row - 1, limit=1), ("adopted",), holds)


def adopt_at_login(scene: Scene) -> Act:
    user, phone = _older(scene)
    return Act(
        user,
        lambda: scene.adopting.challenge(user),
        ("adopted", "challenged"),
        lambda asked: scene.mfa.verify(asked.token, phone.code()),
    )


ACTS: Final[dict[str, Callable[[Scene], Act]]] = {
    act.__name__: act
    for act in (
        begin,
        begin_again,
        begin_in_place,
        confirm,
        confirm_wrongly,
        disable,
        challenge,
        challenge_without_a_factor,
        challenge_of_a_device,
        challenge_of_a_contested_device,
        challenge_of_a_stolen_device,
        verify,
        repeat,
        verify_wrongly,
        verify_replayed,
        verify_on_paper,
        verify_on_spent_paper,
        verify_on_false_paper,
        reverify,
        reverify_wrongly,
        trust,
        trust_again,
        rename,
        revoke,
        revoke_all,
        regenerate,
        regenerate_too_late,
        keep,
        password_changed,
        reset,
        repair,
        erase,
        prune,
        rotate,
        adopt,
        adopt_at_login,
    )
} | PASSKEY_ACTS
