"""Fifty tenants in one application, all at once: a code, a token or an event never crosses from one to another."""

from __future__ import annotations

import copy
import random
from threading import Lock
from typing import TYPE_CHECKING

import pytest

from tests.attacks.tenants import WAYS, Door, Street, Tenant, here, policies, roles, schemas
from tests.hosts.at_once import DRIVERS, at_once
from tests.length import IS_WHOLE, LENGTH
from tests.people import Phone, challenged
from twofold import MFA, Reason, Rejected, Stale, UnknownUser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases import Sources

VISITS = 24 * LENGTH
WORKERS = 8
# In the suite the drivers take turns over the ways, alone and behind a pooler.
ALONE, POOLED = (
    [
        (way, driver)
        for number, way in enumerate(WAYS)
        for place, driver in enumerate(DRIVERS)
        if IS_WHOLE or (number + first) % len(DRIVERS) == place
    ]
    for first in (0, 1)
)


@pytest.fixture(scope="module")
def apart(databases: Sources) -> Iterator[Street]:
    with schemas(databases) as street:
        yield street


@pytest.fixture(scope="module")
def together(databases: Sources) -> Iterator[Street]:
    with policies(databases) as street:
        yield street


@pytest.fixture
def street(request: pytest.FixtureRequest, way: str) -> Iterator[Street]:
    made: Street = request.getfixturevalue("together" if way == "row security" else "apart")
    with made.copied() as street:
        yield street


class Visits:
    """Who goes where: each visit to a tenant that nobody visits at that moment, drawn at random."""

    def __init__(self, tenants: list[Tenant], face: Callable[[Tenant], MFA]) -> None:
        self.tenants, self.face = tenants, face
        self._free, self._lock, self._chance = list(tenants), Lock(), random.Random()

    def __call__(self) -> None:
        with self._lock:
            self._chance.shuffle(self._free)
            tenant = self._free.pop()
        try:
            here.set(tenant)
            tenant.clock.forward(seconds=60)
            a_visit(self.face(tenant), tenant, self.another(tenant), self._chance)
        finally:
            with self._lock:
                self._free.append(tenant)

    def another(self, tenant: Tenant) -> Tenant:
        return self._chance.choice([one for one in self.tenants if one is not tenant])


def refusal(mfa: MFA, token: str, code: str) -> Reason:
    with pytest.raises(Rejected) as refused:
        mfa.verify(token, code, request=here.get().request)
    return refused.value.reason


def a_visit(mfa: MFA, tenant: Tenant, elsewhere: Tenant, chance: random.Random) -> None:
    """A login at home, after everything of another tenant's was tried, and one thing more that a user does."""
    user, request, code = tenant.user, tenant.request, tenant.phone.code()
    # Somebody may be at work there, too.
    theirs = copy.copy(elsewhere)
    their_phone = Phone(theirs.phone.secret, tenant.clock)
    if theirs.challenge is not None:
        assert refusal(mfa, theirs.challenge, code) in {Reason.CHALLENGE_EXPIRED, Reason.NOT_ENROLLED}
    if theirs.verified is not None:
        with pytest.raises(Stale):
            mfa.proof(theirs.verified.token)
        with pytest.raises(Stale):
            mfa.backup_codes.regenerate(theirs.verified, request=request)
    if elsewhere.user != user:
        with pytest.raises(UnknownUser):
            mfa.challenge(elsewhere.user, request=request)
    assert bool(mfa.challenge(tenant.other, request=request)) == tenant.has_other
    tenant.challenge = token = challenged(mfa, user, device_token=theirs.device, request=request)
    if their_phone.code() not in {tenant.phone.code(steps=steps) for steps in (-1, 0, 1)}:
        assert refusal(mfa, token, their_phone.code()) is Reason.WRONG_CODE
    for paper in theirs.codes[:1]:
        assert refusal(mfa, token, paper) is Reason.WRONG_CODE
    verified = mfa.verify(token, code, request=request)
    tenant.accepted, tenant.verified = tenant.accepted + 1, verified
    assert verified.user_id == user
    chance.choice(AT_HOME)(mfa, tenant)
    status = mfa.status(user)
    assert (status.backup_codes_remaining, status.failed_attempts) == (len(tenant.codes), 0)
    assert mfa.events.verify(user).is_intact


def trust(mfa: MFA, tenant: Tenant) -> None:
    assert tenant.verified is not None
    tenant.device = mfa.trusted_devices.trust(tenant.verified, request=tenant.request).token
    cleared = mfa.challenge(tenant.user, device_token=tenant.device, request=tenant.request)
    assert not cleared
    assert cleared.device is not None
    tenant.device = cleared.device.token


def spend_a_backup_code(mfa: MFA, tenant: Tenant) -> None:
    if tenant.codes:
        assert mfa.reverify(tenant.user, tenant.codes.pop(), request=tenant.request)
        tenant.accepted += 1


def make_new_backup_codes(mfa: MFA, tenant: Tenant) -> None:
    assert tenant.verified is not None
    tenant.codes = list(mfa.backup_codes.regenerate(tenant.verified, request=tenant.request))


def change_the_password(mfa: MFA, tenant: Tenant) -> None:
    mfa.password_changed(tenant.user, verified=tenant.verified, request=tenant.request)
    tenant.device = tenant.challenge = tenant.verified = None


def move(mfa: MFA, tenant: Tenant) -> None:
    mfa.reset(tenant.user, by="grace@example.com", reason="a lost phone", request=tenant.request)
    assert not mfa.challenge(tenant.user, request=tenant.request)
    tenant.clock.forward(seconds=60)
    tenant.move_in(mfa)


AT_HOME = (trust, spend_a_backup_code, make_new_backup_codes, change_the_password, move)


def keeps_apart(street: Street, door: Door, way: str) -> None:
    host = WAYS[way](door, street.tenants)
    said = at_once(host.engines, [Visits(street.tenants, host.face)] * VISITS, WORKERS)
    assert [answer for answer in said if answer is not None] == []
    for tenant, lines in street.logs():
        assert {where for _, where in lines} == {tenant.name}
        assert sum(kind == "code_accepted" for kind, _ in lines) == tenant.accepted


@pytest.mark.parametrize(("way", "driver"), ALONE)
def test_no_answer_crosses(street: Street, way: str, driver: str) -> None:
    keeps_apart(street, Door(street.url, driver, is_pooled=False, keys=street.keys), way)


@pytest.mark.parametrize(("way", "driver"), POOLED)
def test_no_answer_crosses_behind_a_pooler(street: Street, way: str, driver: str, pooler: Callable[..., str]) -> None:
    pooled = pooler(street.url, *roles())
    keeps_apart(street, Door(pooled, driver, is_pooled=True, keys=street.keys), way)
