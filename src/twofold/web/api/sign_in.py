"""Who is here, the answer to a login that waits, and a code before something that matters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from twofold import tokens
from twofold.errors import Reason, Rejected
from twofold.login import factors
from twofold.outcomes import spelled
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import forms, problems, refusals
from twofold.web.api import models
from twofold.web.api.answers import Mistake, answer, problem
from twofold.web.flows import login, passkeys, step_up
from twofold.web.flows.proofs import last
from twofold.web.visit import SignedIn, Waiting

if TYPE_CHECKING:
    from datetime import timedelta

    from twofold.outcomes import Status, Verified
    from twofold.web.page import Page
    from twofold.web.refusals import Asking
    from twofold.web.site import Site
    from twofold.web.visit import Session, Visit


async def status(site: Site, _visit: Visit, me: Session, _sent: models.Nothing) -> Page:
    """Tell who is here, how their second factor stands, and what may be done without a further code."""
    if me is None:
        return answer(models.Standing(state="signed_out"))
    csrf = None if me.is_bearer else forms.token(site.keyring, me.session_id, realm=site.realm)
    if isinstance(me, Waiting):
        return answer(
            models.Standing(
                state="waiting",
                account_name=me.account_name,
                csrf_token=csrf,
                challenge=None if me.is_answered else await _asked(site, me),
            )
        )
    standing, given = await site.mfa.status(me.user_id), await last(site, me)
    until = None if given is None else given.at + site.settings.proof_max_age
    fields = models.Account.model_fields
    return answer(
        models.Standing(
            state="signed_in",
            user_id=spelled(me.user_id),
            account_name=me.account_name,
            csrf_token=csrf,
            account=models.Account(
                **{name: getattr(standing, name) for name in fields if name != "altered"},
                altered=list(standing.altered),
            ),
            auth_time=None if given is None else int(given.at.timestamp()),
            amr=[] if given is None else list(given.amr),
            is_fresh=until is not None and until >= site.clock(),
            fresh_until=until,
        )
    )


async def asked(site: Site, _visit: Visit, me: Waiting, _sent: models.Nothing) -> Page:
    """Tell what a login waits for."""
    found = None if me.is_answered else await _asked(site, me)
    if found is None:
        raise Mistake(problems.ANSWERED if me.is_answered else problems.REASONS[Reason.CHALLENGE_EXPIRED])
    return answer(found)


async def _asked(site: Site, me: Waiting) -> models.Challenge | None:
    read = tokens.read_challenge(site.keyring, me.challenge)
    if read is None:
        return None
    standing, options = await site.mfa.status(read.user_id), await passkeys.asked(site, me)
    has = (options is not None, standing.has_app, standing.backup_codes_remaining > 0)
    return models.Challenge(
        factors=[factor for factor, is_there in zip(_FACTORS, has, strict=True) if is_there],
        passkey_options=None if options is None else dict(options),
        digits=standing.digits,
        expires_at=read.expires_at,
        may_trust_device=site.settings.device_limit > 0,
    )


_FACTORS: tuple[Literal["passkeys", "totp", "backup_codes"], ...] = ("passkeys", "totp", "backup_codes")


async def challenge(site: Site, visit: Visit, me: Waiting, sent: models.Answering) -> Page:
    """Answer the challenge. The application begins a session, and gives an app what belongs to it in `session`."""
    return await _answer(site, visit, me, sent, sent.code)


async def challenge_by_passkey(site: Site, visit: Visit, me: Waiting, sent: models.Signing) -> Page:
    """Answer the challenge with what a passkey signed: what `passkey_options` asked for."""
    return await _answer(site, visit, me, sent, json.dumps(sent.passkey))


async def _answer(site: Site, visit: Visit, me: Waiting, sent: models.Answers, given_answer: str) -> Page:
    before = sent.device_token if me.is_bearer else _device_of(site, visit, me)
    try:
        passed = await login.answer(
            site, me, given_answer, trust_device=sent.trust_device, before=before, request=visit.origin
        )
    except Rejected as rejected:
        if me.is_answered:
            raise Mistake(problems.ANSWERED) from None
        if rejected.reason is Reason.CHALLENGE_EXPIRED:
            told = refusals.ended(is_late=login.is_late(site, me))
            return problem(problems.of(rejected), told, log_out=bool(me.session_id))
        lasts = site.settings.challenge_lifetime
        return refused(rejected, given_answer, await login.standing(site, me), lasts=lasts)
    device = passed.device
    kept = None if device is None else models.KeptDevice(token=device.token, expires_at=device.expires_at)
    given = dict(proven(site, me, passed.verified))
    if me.is_bearer:
        return answer(models.Passed(**given, device=kept), log_in=passed.verified)
    return answer(models.Passed(**given), log_in=passed.verified, device=device)


def _device_of(site: Site, visit: Visit, me: Waiting) -> str | None:
    """The token of the trusted device that the browser of this login brought."""
    read = tokens.read_challenge(site.keyring, me.challenge)
    return None if read is None else visit.cookies.get(device_cookie.name_for(site.settings, read.user_id))


async def cancel(_site: Site, _visit: Visit, _me: Waiting, _sent: models.Nothing) -> Page:
    """Give up a login that waits."""
    return answer(models.Done(), log_out=True)


async def reverify(site: Site, visit: Visit, me: SignedIn, sent: models.Coded) -> Page:
    """Take a code of somebody who is signed in, so that changes are allowed for a few minutes."""
    return await _reverify(site, visit, me, sent.code)


async def ask_passkey(site: Site, _visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """Tell what a passkey is to sign, so that changes are allowed for a few minutes."""
    found = await site.mfa.passkeys.ask(me.user_id)
    return answer(models.Ceremony(options=dict(found.options), expires_at=found.expires_at))


async def reverify_by_passkey(site: Site, visit: Visit, me: SignedIn, sent: models.Signed) -> Page:
    """Take what a passkey signed, so that changes are allowed for a few minutes."""
    return await _reverify(site, visit, me, json.dumps(sent.passkey))


async def _reverify(site: Site, visit: Visit, me: SignedIn, given: str) -> Page:
    try:
        verified = await step_up.reverify(site, me, given, visit.origin)
    except Rejected as rejected:
        return refused(rejected, given, await site.mfa.status(me.user_id))
    if verified is None:
        # It came twice, and the first one was accepted a moment ago.
        found = await last(site, me)
        return problem(problems.STALE) if found is None else answer(proven(site, me, found))
    return answer(proven(site, me, verified), remember=verified)


def proven(site: Site, me: SignedIn | Waiting, verified: Verified) -> models.Proven:
    """Say that the second factor was given. The proof itself is for apps: the session of a browser keeps it."""
    return models.Proven(
        amr=list(verified.amr),
        auth_time=int(verified.at.timestamp()),
        fresh_until=verified.at + site.settings.proof_max_age,
        proof=verified.token if me.is_bearer else None,
    )


_ASKING: dict[str | None, Asking] = {"passkeys": "passkey", "codes": "backup_code", None: "app"}


def refused(
    rejected: Rejected,
    typed: str,
    standing: Status | None,
    *,
    lasts: timedelta | None = None,
    is_setup: bool = False,
    digits: int | None = None,
) -> Page:
    """The problem of a code that was refused, with what a page would say to the person who stands like this."""
    asking: Asking = "setup" if is_setup else _ASKING[factors.companions(typed)]
    is_suspended = standing is not None and standing.is_suspended and not is_setup
    told = refusals.refusal(
        rejected,
        typed,
        asking=asking,
        digits=digits or (6 if standing is None else standing.digits),
        backup_codes=0 if standing is None else standing.backup_codes_remaining,
        has_app=standing is None or standing.has_app,
        passkeys=0 if standing is None else standing.passkeys,
        is_suspended=is_suspended,
        lasts=lasts,
    )
    if is_suspended and told.wait is None and rejected.retry_after is not None:
        # This code was the last one: no wait ends the suspension.
        return problem(problems.SUSPENDED, told.sentence)
    return problem(problems.of(rejected), told.sentence, wait=told.wait or rejected.retry_after)
