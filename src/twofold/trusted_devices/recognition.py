"""Recognize the browser that brings a token, and give it the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from twofold.account import sealed, store
from twofold.account.attempt import Fact
from twofold.account.statements import CONTESTED
from twofold.account.store import Change
from twofold.browsers import Family
from twofold.kinds import Kind, Status
from twofold.outcomes import DeviceToken
from twofold.request import Request
from twofold.trusted_devices import cookie
from twofold.trusted_devices.endings import revoked
from twofold.trusted_devices.series import next_token, of_series, token_digests
from twofold.trusted_devices.standing import answerable, is_in_grace, replaced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.account.statements import HeldDevice
    from twofold.outcomes import UserId


class Untrusted(NamedTuple):
    """Why a token that came spared no code, of which device, as far as it is known."""

    device: HeldDevice | None
    why: str


class Recognition(NamedTuple):
    """What became of a browser's token: the state after it, whether the browser is trusted, and its next token.

    `untrusted` says why it is not.
    """

    account: Account
    is_trusted: bool = False
    device: DeviceToken | None = None
    untrusted: Untrusted | None = None


def recognize(
    work: Attempt, user_id: UserId, account: Account, devices: Sequence[HeldDevice] | None, token: str, request: Any
) -> Recognition:
    """Look at the token that a browser brings, among the devices that were read with the user's row.

    `user_id` is the id as the caller writes it, from which the name of the cookie is made.
    """
    comparison = sealed.compared_devices(work, account, devices)
    if devices is None or not comparison.is_intact:
        altered = store.alarm(work, account, "mfa_device_trusts", comparison, request)
        return Recognition(altered, untrusted=Untrusted(None, "the devices were altered"))
    held = of_series(work, account, devices, token)
    if held is None:
        return Recognition(account, untrusted=Untrusted(None, "not trusted any more"))
    if held not in answerable(work, devices):
        return Recognition(account, untrusted=Untrusted(held, "not trusted any more"))
    fitting = token_digests(work, account, token, held.trusted_until)
    is_current, is_graced = held.trust_token in fitting, held.previous_token in fitting and is_in_grace(work, held)
    if not is_current and not is_graced:
        contested = _contested(work, account, devices, held, request)
        return Recognition(contested, untrusted=Untrusted(held, "an old token"))
    if is_current and held.is_contested:
        why = "two browsers have a token of this device"
        after = revoked(work, account, devices, held, why, request, Kind.DEVICE_THEFT, Status.ALARM)
        return Recognition(after, untrusted=Untrusted(held, "two have its token"))
    origin = Request.of(request)
    trusted, family = Family(held.browser, held.platform), origin.family
    if trusted != (None, None) and not family.may_be(trusted):
        # The cookie of one browser in another one: no theft is proven, and none is rewarded.
        return Recognition(account, untrusted=Untrusted(held, "another browser"))
    recognized = Fact(
        Kind.DEVICE_RECOGNIZED, details={"device": held.device_name}, device_fingerprint=held.device_fingerprint
    )
    if is_graced:
        return Recognition(store.save(work, account, account, recognized, request), is_trusted=True)
    fresh = next_token(token)
    rotated = held._replace(
        trust_token=token_digests(work, account, fresh, held.trusted_until)[0],
        previous_token=held.trust_token,
        rotated_at=work.now,
        last_used_at=work.now,
        browser=family.browser,
        platform=family.platform,
    )
    after = account._replace(devices_digest=sealed.devices_digest(replaced(devices, rotated)))
    values = (
        rotated.trust_token,
        rotated.previous_token,
        rotated.rotated_at,
        rotated.last_used_at,
        origin.ip_address,
        family.browser,
        family.platform,
        held.id,
        held.trust_token,
    )
    saved = store.save(work, account, after, recognized, request, Change(work.schema.rotate, values))
    named = cookie.name_for(work.settings, user_id)
    max_age = int((held.trusted_until - work.now).total_seconds())
    device = DeviceToken(fresh, held.id, held.trusted_until, max_age, named, work.settings.public_url)
    return Recognition(saved, is_trusted=True, device=device)


def _contested(
    work: Attempt, account: Account, devices: Sequence[HeldDevice], held: HeldDevice, request: Any
) -> Account:
    """Remember that a token of this series came which is neither the last nor the one before, and trust it no more."""
    if held.is_contested:
        return account
    contested = held._replace(previous_token=CONTESTED)
    after = account._replace(devices_digest=sealed.devices_digest(replaced(devices, contested)))
    details = {"device": held.device_name, "reason": "an old token of this device came"}
    fact = Fact(Kind.DEVICE_CONTESTED, Status.REFUSED, details, held.device_fingerprint)
    values = (CONTESTED, held.id, held.trust_token)
    return store.save(work, account, after, fact, request, Change(work.schema.contest, values))
