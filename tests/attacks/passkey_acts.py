"""Every operation of passkeys that writes, and those of the other factors beside them, as somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.attacks.act import Act, refusal
from tests.people import ORIGIN, challenged
from twofold import Challenge, Cleared, base64url
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.scenes import Scene
    from twofold import MFA, Ceremony, Passkey, Registered, Verified


def begun(mfa: MFA, user_id: int, verified: Verified | None = None) -> Ceremony:
    """What a browser is asked for, to make a passkey."""
    return mfa.passkeys.begin(user_id, account_name="ada@example.com", verified=verified)


def registered(mfa: MFA, user_id: int, passkey: VirtualPasskey, verified: Verified | None = None) -> Registered:
    """Register a passkey: the first factor of its user, else beside the one that was proven."""
    return mfa.passkeys.confirm(user_id, passkey.register(begun(mfa, user_id, verified)))


def asked(mfa: MFA, user_id: int) -> Challenge:
    """A login that waits for a passkey."""
    challenge = mfa.challenge(user_id)
    assert isinstance(challenge, Challenge)
    assert challenge.passkey_options is not None
    return challenge


def signed(mfa: MFA, user_id: int, passkey: VirtualPasskey, **bent: Any) -> tuple[str, str]:
    """The challenge of a login, and what a passkey answers."""
    challenge = asked(mfa, user_id)
    assert challenge.passkey_options is not None
    return challenge.token, passkey.sign(challenge.passkey_options, **bent)


def signs_in(mfa: MFA, user_id: int, passkey: VirtualPasskey) -> bool:
    return mfa.verify(*signed(mfa, user_id, passkey)).factor == "passkeys"


def _holder(scene: Scene) -> tuple[int, VirtualPasskey, Registered]:
    """A user whose one factor is a passkey, with the backup codes beside it."""
    user, passkey = scene.add_user(), VirtualPasskey(ORIGIN)
    return user, passkey, registered(scene.mfa, user, passkey)


def begin_passkey(scene: Scene) -> Act:
    mfa, user = scene.mfa, scene.add_user()
    return Act(
        user,
        lambda: begun(mfa, user),
        ("passkey_begun",),
        lambda ceremony: mfa.passkeys.confirm(user, VirtualPasskey(ORIGIN).register(ceremony)),
    )


def begin_passkey_beside_others(scene: Scene) -> Act:
    mfa, (user, _, first) = scene.mfa, _holder(scene)
    return Act(
        user,
        lambda: begun(mfa, user, first.verified),
        ("passkey_begun",),
        lambda ceremony: mfa.passkeys.confirm(user, VirtualPasskey(ORIGIN).register(ceremony)),
    )


def confirm_passkey(scene: Scene) -> Act:
    mfa, user, passkey = scene.mfa, scene.add_user(), VirtualPasskey(ORIGIN)
    credential = passkey.register(begun(mfa, user))

    def holds(first: Registered) -> bool:
        assert mfa.proof(first.verified.token) == first.verified
        assert mfa.status(user).passkeys == 1
        assert refusal(lambda: mfa.reverify(user, first.backup_codes[0])) == "success"
        return signs_in(mfa, user, passkey)

    return Act(user, lambda: mfa.passkeys.confirm(user, credential), ("passkey_registered",), holds)


def confirm_passkey_beside_an_app(scene: Scene) -> Act:
    mfa, ada, passkey = scene.mfa, scene.proven(), VirtualPasskey(ORIGIN)
    credential = passkey.register(begun(mfa, ada.user_id, ada.verified))

    def holds(added: Registered) -> bool:
        assert added.backup_codes == ()
        assert refusal(lambda: mfa.reverify(ada.user_id, ada.phone.code())) == "success"
        return signs_in(mfa, ada.user_id, passkey)

    return Act(ada.user_id, lambda: mfa.passkeys.confirm(ada.user_id, credential), ("passkey_registered",), holds)


def confirm_passkey_wrongly(scene: Scene) -> Act:
    mfa, user, passkey = scene.mfa, scene.add_user(), VirtualPasskey(ORIGIN)
    ceremony = begun(mfa, user)
    wrong = passkey.register(ceremony, origin="https://example.org")
    return Act(
        user,
        lambda: mfa.passkeys.confirm(user, wrong),
        ("code_refused",),
        lambda _: mfa.passkeys.confirm(user, passkey.register(ceremony)),
        "passkey_refused",
    )


def confirm_passkey_again(scene: Scene) -> Act:
    mfa, user, passkey = scene.mfa, scene.add_user(), VirtualPasskey(ORIGIN)
    credential = passkey.register(begun(mfa, user))
    mfa.passkeys.confirm(user, credential)

    def holds(again: Registered) -> bool:
        assert (again.backup_codes, mfa.status(user).passkeys) == ((), 1)
        return signs_in(mfa, user, passkey)

    return Act(user, lambda: mfa.passkeys.confirm(user, credential), ("answer_repeated",), holds)


def adopt_a_passkey(scene: Scene) -> Act:
    mfa, user, handle = scene.mfa, scene.add_user(), b"what the other application calls ada"
    passkey = VirtualPasskey(ORIGIN, handle=base64url.written(handle))

    def ask() -> Passkey:
        return mfa.passkeys.adopt(
            user,
            credential_id=passkey.credential_id,
            public_key=passkey.public_key,
            user_handle=handle,
            can_sync=False,
            name="Ada's key",
        )

    def holds(adopted: Passkey) -> bool:
        assert ask() == adopted
        return signs_in(mfa, user, passkey)

    return Act(user, ask, ("passkey_registered",), holds)


def challenge_of_a_passkey(scene: Scene) -> Act:
    mfa, (user, passkey, _) = scene.mfa, _holder(scene)
    return Act(
        user,
        lambda: mfa.challenge(user),
        ("challenged",),
        lambda challenge: mfa.verify(challenge.token, passkey.sign(challenge.passkey_options)),
    )


def verify_a_passkey(scene: Scene) -> Act:
    mfa, (user, passkey, _) = scene.mfa, _holder(scene)
    token, assertion = signed(mfa, user, passkey)

    def holds(verified: Verified) -> bool:
        assert mfa.proof(verified.token) == verified
        assert refusal(lambda: mfa.verify(token, assertion)) == "challenge_expired"
        assert refusal(lambda: mfa.verify(challenged(mfa, user), assertion)) == "passkey_refused"
        return signs_in(mfa, user, passkey)

    return Act(user, lambda: mfa.verify(token, assertion), ("code_accepted",), holds)


def repeat_a_passkey(scene: Scene) -> Act:
    mfa, (user, passkey, _) = scene.mfa, _holder(scene)
    token, assertion = signed(mfa, user, passkey)
    mfa.verify(token, assertion)
    return Act(
        user,
        lambda: mfa.repeat(token, assertion),
        ("answer_repeated",),
        lambda verified: mfa.proof(verified.token).user_id == user,
    )


def verify_a_forged_passkey(scene: Scene) -> Act:
    mfa, (user, passkey, _) = scene.mfa, _holder(scene)
    token, forged = signed(mfa, user, passkey, signature=bytes(70), counter=4711)
    return Act(
        user,
        lambda: mfa.verify(token, forged),
        ("code_refused",),
        lambda _: signs_in(mfa, user, passkey),
        "passkey_refused",
    )


def verify_a_copied_passkey(scene: Scene) -> Act:
    mfa, (user, passkey, first) = scene.mfa, _holder(scene)
    thief = passkey.copied()
    assert signs_in(mfa, user, passkey)
    token, assertion = signed(mfa, user, thief)

    def holds(_: object) -> bool:
        assert mfa.status(user).passkeys == 0
        assert refusal(lambda: mfa.verify(token, passkey.sign({"challenge": ""}))) == "passkey_refused"
        return mfa.verify(token, first.backup_codes[0]).factor == "backup_codes"

    return Act(user, lambda: mfa.verify(token, assertion), ("passkey_cloned", "code_refused"), holds, "passkey_cloned")


def reverify_a_passkey(scene: Scene) -> Act:
    mfa, (user, passkey, _) = scene.mfa, _holder(scene)
    assertion = passkey.sign(mfa.passkeys.ask(user))

    def holds(verified: Verified) -> bool:
        assert mfa.proof(verified.token) == verified
        return refusal(lambda: mfa.reverify(user, assertion)) == "code_already_used"

    return Act(user, lambda: mfa.reverify(user, assertion), ("code_accepted",), holds)


def rename_a_passkey(scene: Scene) -> Act:
    mfa, (user, passkey, first) = scene.mfa, _holder(scene)

    def holds(is_done: object) -> bool:
        assert is_done
        assert [one.name for one in mfa.passkeys.list(user)] == ["Ada's key"]
        return signs_in(mfa, user, passkey)

    rename = mfa.passkeys.rename
    return Act(user, lambda: rename(user, first.passkey.id, "Ada's key"), ("passkey_renamed",), holds)


def revoke_a_passkey(scene: Scene) -> Act:
    mfa, (user, passkey, first) = scene.mfa, _holder(scene)
    other = VirtualPasskey(ORIGIN)
    registered(mfa, user, other, first.verified)

    def holds(is_done: object) -> bool:
        assert is_done
        token, assertion = signed(mfa, user, passkey)
        assert refusal(lambda: mfa.verify(token, assertion)) == "passkey_refused"
        return signs_in(mfa, user, other)

    revoke = mfa.passkeys.revoke
    return Act(user, lambda: revoke(first.verified, first.passkey.id), ("passkey_revoked",), holds)


def revoke_every_passkey(scene: Scene) -> Act:
    mfa, ada = scene.mfa, scene.proven()
    for _ in range(2):
        registered(mfa, ada.user_id, VirtualPasskey(ORIGIN), ada.verified)

    def holds(number: object) -> bool:
        assert (number, mfa.status(ada.user_id).passkeys) == (2, 0)
        return refusal(lambda: mfa.reverify(ada.user_id, ada.phone.code())) == "success"

    return Act(ada.user_id, lambda: mfa.passkeys.revoke_all(ada.verified), ("passkey_revoked",), holds)


def disable_the_app_beside_a_passkey(scene: Scene) -> Act:
    mfa, ada, passkey = scene.mfa, scene.proven(), VirtualPasskey(ORIGIN)
    registered(mfa, ada.user_id, passkey, ada.verified)

    def holds(_: object) -> bool:
        assert refusal(lambda: mfa.reverify(ada.user_id, ada.phone.code())) == "malformed"
        return signs_in(mfa, ada.user_id, passkey)

    def ask() -> bool:
        mfa.totp.disable(ada.verified)
        return True

    return Act(ada.user_id, ask, ("totp_disabled",), holds)


def disable_everything(scene: Scene) -> Act:
    mfa, (user, _, first) = scene.mfa, _holder(scene)

    def holds(_: object) -> bool:
        assert not any(one.is_active for one in mfa.passkeys.list(user))
        return isinstance(mfa.challenge(user), Cleared)

    return Act(user, lambda: mfa.disable(first.verified), ("disabled",), holds)


def reset_of_a_passkey(scene: Scene) -> Act:
    mfa, (user, _, _) = scene.mfa, _holder(scene)

    def holds(_: object) -> bool:
        assert not any(one.is_active for one in mfa.passkeys.list(user))
        return isinstance(mfa.challenge(user), Cleared)

    return Act(user, lambda: mfa.reset(user, by="grace", reason="lost the key"), ("reset",), holds)


def repair_of_a_passkey(scene: Scene) -> Act:
    mfa, (user, _, _) = scene.mfa, _holder(scene)
    scene.sql("UPDATE user_mfa_secrets SET failed_attempts = 77 WHERE user_id = :user", user=user)

    def holds(_: object) -> bool:
        assert not any(one.is_active for one in mfa.passkeys.list(user))
        return isinstance(mfa.challenge(user), Cleared)

    return Act(user, lambda: mfa.repair(user, by="grace", reason="a mistake by hand"), ("repaired",), holds)


def erase_a_passkey(scene: Scene) -> Act:
    mfa, (user, _, _) = scene.mfa, _holder(scene)

    def holds(erased: Any) -> bool:
        assert erased.tombstone
        return not any(scene.rows(user))

    return Act(user, lambda: mfa.erase(user), (), holds)


def rotate_a_passkey(scene: Scene) -> Act:
    user, passkey, _ = _holder(scene)
    ((row,),) = scene.sql("SELECT id FROM user_mfa_secrets WHERE user_id = :user", user=user)

    def holds(rotated: Any) -> bool:
        assert (rotated.done, rotated.skipped, rotated.last_id) == (1, (), row)
        return signs_in(scene.mfa, user, passkey)

    return Act(user, lambda: scene.rotating.keys.rotate(after=row - 1, limit=1), ("resealed",), holds)


PASSKEY_ACTS: Final[dict[str, Callable[[Scene], Act]]] = {
    act.__name__: act
    for act in (
        begin_passkey,
        begin_passkey_beside_others,
        confirm_passkey,
        confirm_passkey_beside_an_app,
        confirm_passkey_wrongly,
        confirm_passkey_again,
        adopt_a_passkey,
        challenge_of_a_passkey,
        verify_a_passkey,
        repeat_a_passkey,
        verify_a_forged_passkey,
        verify_a_copied_passkey,
        reverify_a_passkey,
        rename_a_passkey,
        revoke_a_passkey,
        revoke_every_passkey,
        disable_the_app_beside_a_passkey,
        disable_everything,
        reset_of_a_passkey,
        repair_of_a_passkey,
        erase_a_passkey,
        rotate_a_passkey,
    )
}
