"""Which devices are trusted now, by the settings as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.moments import is_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.statements import HeldDevice


def active(work: Attempt, devices: Sequence[HeldDevice]) -> list[HeldDevice]:
    """Those that are trusted by the settings as they are now: neither expired nor idle, the newest up to the limit.

    One that is contested is trusted no more.
    """
    fresh = [device for device in devices if not (device.is_contested or is_over(work, device))]
    # A device that began anew kept its row, and its id with it.
    fresh.sort(key=lambda device: (device.created_at, device.id))
    return fresh[-work.settings.device_limit :] if work.settings.device_limit else []


def answerable(work: Attempt, devices: Sequence[HeldDevice]) -> list[HeldDevice]:
    """Those of which a token says anything: the trusted ones, and the contested ones, which may turn out as stolen."""
    contested = [device for device in devices if device.is_contested and not is_over(work, device)]
    return active(work, devices) + contested


def is_over(work: Attempt, device: HeldDevice) -> bool:
    """Whether a device has expired, or was idle for too long."""
    settings, last_used = work.settings, device.last_used_at or device.created_at
    ends = (device.trusted_until, device.created_at + settings.device_lifetime, last_used + settings.device_idle)
    return min(ends) <= work.now


def is_in_grace(work: Attempt, device: HeldDevice) -> bool:
    """Whether the token before the last still counts, for requests that were under way when it was rotated."""
    # Whoever waited for the row, or has a slower clock, comes a moment before the token was rotated.
    return device.rotated_at is not None and is_within(work.settings.device_grace, device.rotated_at, work.now)


def replaced(devices: Sequence[HeldDevice], changed: HeldDevice) -> list[HeldDevice]:
    """The devices with one of them as it is now."""
    return [changed if device.id == changed.id else device for device in devices]
