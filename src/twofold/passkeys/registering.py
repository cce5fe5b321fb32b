"""Register a passkey: ask a browser for one, and judge what it brings."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from twofold import base64url, proof, tokens
from twofold.account import answered, reading, sealed, store
from twofold.account.attempt import Conflict, Fact
from twofold.account.row import Account
from twofold.account.statements import HeldPasskey
from twofold.browsers import given
from twofold.errors import EnrollmentExpired, Reason, Rejected, TooManyPasskeys
from twofold.kinds import Kind, Status
from twofold.log_volume import noted
from twofold.naming import checked
from twofold.outcomes import Ceremony
from twofold.passkeys import ceremony, endings, held
from twofold.passkeys.policy import Policy
from twofold.passkeys.relying_party import RelyingParty
from twofold.request import Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twofold.account.attempt import Attempt
    from twofold.outcomes import Means, UserId, Verified

_HANDLE_BYTES = 32


class Asked(NamedTuple):
    """A registration that waits: the user's row, what came back, and what was asked for.

    `again` says how the passkey was given, where this is what was confirmed last, once more.
    """

    account: Account
    response: ceremony.Response
    token: tokens.CeremonyToken
    party: RelyingParty
    again: Means | None


class New(NamedTuple):
    """A passkey that was written, the state before it, and the digest that then seals it with the others."""

    account: Account
    digest: str | None
    passkey: HeldPasskey


def begin(
    work: Attempt,
    user_id: UserId,
    *,
    account_name: str,
    verified: Verified | None = None,
    session: str | None = None,
    request: Any = None,
) -> Ceremony:
    """Ask for a new passkey. Nothing is in force until `confirm`, and nothing has to be kept until then.

    `account_name` is what the browser shows beside the issuer, as `ada@example.com`. A user with a factor in force
    passes a fresh `verified`. With a `session`, a value that only this session of the host has, no other one can
    confirm it. Raises AlreadyEnrolled without `verified`, Stale where it is too old, TooManyPasskeys, UnknownUser, and
    ConfigurationError where no domain is set.
    """
    party, allowed = RelyingParty.required(work.settings), Policy.of(work.settings)
    ceremony.require_library()
    account = proof.beginner(work, user_id, verified, "passkeys.begin", request)
    before = account or Account(work.stored(user_id))
    sealed.required_passkeys(work)
    # What was altered ends with the confirmation; until then nothing of it is told to a browser, or believed.
    before, found = held.compared(work, before, sealed.passkeys(work, before), request)
    others = found or ()
    if len(others) >= work.settings.passkey_limit:
        raise TooManyPasskeys
    fact = Fact(Kind.PASSKEY_BEGUN, details={"passkeys": len(others)} if others else {})
    after, line = noted(work, before, fact)
    begun = store.save(work, None if account is None else before, after, line, request)
    handle = others[0].user_handle if others else base64url.written(secrets.token_bytes(_HANDLE_BYTES))
    expires_at = work.now + work.settings.enrollment_lifetime
    token = tokens.CeremonyToken(
        begun.user_id, "register", begun.version, expires_at, begun.enabled_at, handle, _session_hash(session)
    )
    options = party.creation_options(
        tokens.write_ceremony(work.keyring, token),
        handle,
        account_name,
        held.descriptors(work, begun, others),
        work.settings.enrollment_lifetime,
        allowed.conveyance,
    )
    return Ceremony(options, expires_at)


def asked(work: Attempt, user_id: UserId, credential: str, session: str | None, request: Any) -> Asked:
    """Read what came back, and find what it answers. Raises EnrollmentExpired, and Rejected for no credential."""
    account = reading.find(work, user_id)
    if account is None:
        raise EnrollmentExpired
    try:
        response = ceremony.read(credential)
    except ceremony.Refused as error:
        raise _refused(work, account, error, request) from None
    token = tokens.read_ceremony(work.keyring, response.asked)
    if token is None or token.occasion != "register" or token.user_id != account.user_id:
        raise EnrollmentExpired
    if not hmac.compare_digest(token.session, _session_hash(session)) or token.expires_at <= work.now:
        raise EnrollmentExpired
    is_live = answered.is_live(account, work.now)
    again = answered.means_of(work.keyring, account, token.serial, credential) if is_live else None
    # It is spent by its number, as the challenge of a login is: one passkey comes of it.
    spent = max(account.proofs_after, account.last_challenge)
    is_standing = spent < token.serial <= account.version and token.enabled_at == account.enabled_at
    if again is None and not is_standing:
        raise EnrollmentExpired
    return Asked(account, response, token, RelyingParty.required(work.settings), again)


def known(work: Attempt, asked: Asked, request: Any) -> HeldPasskey:
    """The passkey that was confirmed a moment ago, whose answer was lost. Raises Rejected where it is gone."""
    keys = held.keys(work.keyring, asked.party.id, asked.response.credential_id)
    passkeys = held.compared(work, asked.account, sealed.passkeys(work, asked.account), request).held or ()
    mine = next((passkey for passkey in passkeys if passkey.credential_key in keys), None)
    if mine is None:
        raise _refused(work, asked.account, ceremony.Refused("it is not registered any more"), request)
    return mine


def made(work: Attempt, asked: Asked, request: Any) -> ceremony.Made:
    """Judge what came back. Raises Rejected, also for a passkey that is somebody's (WebAuthn Level 3 §7.1)."""
    try:
        found = ceremony.made(asked.response, asked.party, Policy.of(work.settings))
        if is_somebodys(work, asked.party.id, found.credential_id):
            raise ceremony.Refused("it is registered already")
    except ceremony.Refused as error:
        raise _refused(work, asked.account, error, request) from None
    return found


def is_somebodys(work: Attempt, rp_id: str, credential_id: bytes) -> bool:
    """Whether this credential is, or was, registered for anybody."""
    table, keys = sealed.required_passkeys(work), held.keys(work.keyring, rp_id, credential_id)
    return work.connection.execute(sa.select(table.c.id).where(table.c.credential_key.in_(keys))).first() is not None


def added(work: Attempt, asked: Asked, made: ceremony.Made, name: str | None, request: Any) -> New:
    """Write a passkey beside the others of its owner.

    Where those were altered they end, with an alarm: nothing planted is sealed by an honest step.
    """
    account, others = held.compared(work, asked.account, sealed.passkeys(work, asked.account), request)
    if others is None:
        after = endings.ended(work, account, "they were changed outside Twofold")
        fact = Fact(Kind.PASSKEY_REVOKED, details={"passkeys": 0, "reason": "they were changed outside Twofold"})
        account, others = store.save(work, account, after, fact, request), ()
    if len(others) >= work.settings.passkey_limit:
        raise TooManyPasskeys
    called = _named(name, others, request)
    passkey = written(work, account, asked.party.id, asked.token.handle, made, called)
    return New(account, sealed.passkeys_digest([*others, passkey]), passkey)


def written(work: Attempt, account: Account, rp_id: str, handle: str, made: ceremony.Made, name: str) -> HeldPasskey:
    """Write the row of a new passkey. Raises Conflict where the same one was written a moment ago."""
    table = sealed.required_passkeys(work)
    kept = held.Sealed.of(work.keyring, account.user_id, rp_id, made.credential_id, made.public_key)
    passkey = HeldPasskey(
        id=0,
        **kept._asdict(),
        user_handle=handle,
        rp_id=rp_id,
        algorithm=made.algorithm,
        sign_count=made.sign_count,
        backup_eligible=made.backup_eligible,
        backup_state=made.backup_state,
        user_verified=made.user_verified,
        suspended_at=None,
        name=name,
        transports=made.transports,
    )
    more = {"aaguid": made.aaguid, "attestation_format": made.attestation_format, "created_at": work.now}
    row = passkey._asdict() | more | {"user_id": account.user_id}
    del row["id"]
    try:
        written = work.write(sa.insert(table).values(row))
    except IntegrityError:
        # Somebody registered the same one a moment ago; it is looked for again.
        raise Conflict from None
    return passkey._replace(id=written.inserted_primary_key[0])  # type: ignore[index]


def _named(name: str | None, others: Sequence[HeldPasskey], request: Any) -> str:
    """The name that its owner gives, else that of the browser that made it; numbered where that is taken."""
    if name is not None:
        return given(checked(name))
    first = Request.of(request).device_name[:60]
    taken, number, called = {one.name for one in others}, 1, first
    while called in taken:
        number += 1
        called = f"{first} {number}"
    return called


def _refused(work: Attempt, account: Account, why: ceremony.Refused, request: Any) -> Rejected:
    """Write that a registration was refused; it is no guess, and costs nothing."""
    reason = Reason.PASSKEY_NOT_ALLOWED if isinstance(why, ceremony.NotAllowed) else Reason.PASSKEY_REFUSED
    details = {"reason": reason, "occasion": "enrollment", "factor": "passkeys", "why": str(why)}
    after, fact = noted(work, account, Fact(Kind.CODE_REFUSED, Status.REFUSED, details))
    store.save(work, account, after, fact, request)
    return Rejected(reason)


def _session_hash(session: str | None) -> str:
    """What a token holds of the session: enough to know it again."""
    return "" if session is None else sha256(session.encode("utf-8", "surrogatepass")).hexdigest()[:32]
