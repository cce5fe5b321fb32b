"""Rows of before Twofold, brought under it without anyone enrolling again.

A legacy row of `user_mfa_secrets` has no state MAC, no event is chained to it, and its secret is plain base32 or a
Fernet token. Adopting it seals the secret, hashes the hashes of its backup codes again under the key, turns the raw
tokens of its trusted devices into keyed hashes, and begins the user's chain with an `adopted` event, by the same
compare-and-swap as everything else. A user who has other rows of before and none in `user_mfa_secrets` is given one,
without a factor. Backups, write-ahead logs and replicas still hold what stood in the columns before.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from twofold import provenance
from twofold.account import reading, sealed, store
from twofold.account.attempt import Conflict, Fact
from twofold.account.digests import as_older
from twofold.account.row import Account
from twofold.account.statements import HeldCode, HeldDevice
from twofold.arguments import batch, whole
from twofold.backup_codes.codec import adopted as adopted_hash
from twofold.errors import ConfigurationError, MFAError, MissingKey, NotAdopted, Tampered, UnknownUser
from twofold.kinds import Kind
from twofold.outcomes import spelled
from twofold.totp import factor as totp
from twofold.totp.algorithm import named
from twofold.trusted_devices import series as device_series
from twofold.upkeep import batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twofold.account.attempt import Attempt
    from twofold.outcomes import UserId

# RFC 4226 §4 asks for 128 bits; some applications made secrets of 80, and their users are not to be locked out.
_SHORTEST_SECRET = 10


@dataclass(frozen=True, slots=True)
class Legacy:
    """How many rows of before Twofold there are, by what is to be done with them."""

    rows: int
    devices: int
    backup_codes: int


@dataclass(frozen=True, slots=True)
class Rowless:
    """The place of a run behind all legacy rows: among the users who have other rows of before, and none there."""

    after: UserId | None = None


@dataclass(frozen=True, slots=True)
class Adopted:
    """One batch: users adopted, users whose secret cannot be opened and is left, and where the next batch begins."""

    done: int
    left: tuple[str, ...]
    last_id: int | Rowless | None


class Unreadable(MFAError):
    """A secret of before Twofold is neither base32 nor opened by the Fernet keys that are configured."""


# Why a user is left as it is.
_LEFT = (Unreadable, UnknownUser, Tampered, NotAdopted, MissingKey)


def survey(work: Attempt) -> Legacy:
    """Count what is left of before Twofold."""
    secrets, codes, devices, _ = work.schema.tables
    queries = (
        sa.select(sa.func.count()).where(work.schema.is_of_before),
        sa.select(sa.func.count()).where(
            devices.c.revoked_at.is_(None),
            devices.c.trust_token.not_like("v1:%"),
            devices.c.user_id.in_(sa.select(secrets.c.user_id).where(work.schema.is_of_before)),
        ),
        sa.select(sa.func.count()).where(codes.c.is_used.is_(sa.false()), codes.c.code_hash.not_like("v1:%")),
        sa.select(sa.func.count()).select_from(work.schema.users).where(_rowless_users(work)),
    )
    rows, raw, hashes, rowless = (int(work.connection.execute(query).scalar_one()) for query in queries)
    return Legacy(rows + rowless, raw, hashes)


def adopt(work: Attempt, *, after: int | Rowless = 0, limit: int = 100, trial: bool = False) -> Adopted:
    """Adopt the next users of before in their order after `after`; give `last_id` back until it is None.

    A batch is written together, or row by row where one of them stands in the way, so that logins go on and a run that
    was stopped goes on where it was. A `trial` opens every secret and writes nothing. Raises WrongKey or MissingKey
    where users have rows, and not one of them was written under the configured keys.
    """
    if after == 0 and not trial:
        provenance.require_keys(work)
    limit = batch(limit, batches.LARGEST)
    if isinstance(after, Rowless):
        page = _rowless(work, after.after, limit)
    else:
        page = _legacy(work, whole("after", after), limit)
    left = batches.write(work, page.users, partial(page.together, trial=trial), partial(page.alone, trial=trial), _LEFT)
    return Adopted(len(page.users) - len(left), left, page.last_id)


def adopt_one(work: Attempt, user_id: UserId) -> Account:
    """Take a user of before into care, whose row, or where it stood, is locked. Raises Unreadable, Tampered."""
    work.need_lock()
    seen = _unproven(work, user_id)
    after = _begun(work, seen) if seen else Account(user_id)
    companions = _Companions(work, [after])
    after = companions.sealed(after)
    companions.write()
    return store.save(work, seen, after, companions.fact(after))


def _legacy(work: Attempt, after: int, limit: int) -> _Page:
    """The next legacy rows; behind the last of them, those who have none."""
    secrets = work.schema.tables.secrets
    query = sa.select(secrets.c.id, secrets.c.user_id).where(secrets.c.id > after, work.schema.is_of_before)
    rows = work.connection.execute(query.order_by(secrets.c.id).limit(limit)).all()
    return _Page(work, tuple(row.user_id for row in rows), rows[-1].id if rows else Rowless())


def _rowless(work: Attempt, after: UserId | None, limit: int) -> _Page:
    """The next users who have rows of before in other tables, and none in `user_mfa_secrets`."""
    query = sa.select(work.schema.users_id).where(_rowless_users(work)).order_by(work.schema.users_id).limit(limit)
    if after is not None:
        query = query.where(work.schema.users_id > after)
    users = tuple(work.connection.execute(query).scalars())
    return _Page(work, users, Rowless(users[-1]) if users else None)


class _Page:
    """The users of one batch, and where the next one begins."""

    def __init__(self, work: Attempt, users: Sequence[UserId], last_id: int | Rowless | None) -> None:
        self._work = work
        self.users, self.last_id = users, last_id

    def together(self, *, trial: bool) -> list[str]:
        """Read, decide and write all of them with a handful of statements; returns the users who are left."""
        work, left, decided = self._work, list[str](), list[tuple[Account, Account]]()
        if not trial and not store.counts_many(work):
            raise batches.Unsupported
        seen = dict(self._accounts())
        for user_id in self.users:
            if user_id not in seen:
                if isinstance(self.last_id, int):
                    # A login was faster, and has adopted this user.
                    continue
                # One who has no row is given one by itself: there is nothing to swap.
                raise batches.Unsupported
            account, has_traces = seen[user_id]
            try:
                if has_traces:
                    raise Unreadable
                decided.append((account, _begun(work, account)))
            except Unreadable:
                left.append(spelled(user_id))
        if trial:
            return left
        companions = _Companions(work, [after for _, after in decided])
        complete = [(account, companions.sealed(after)) for account, after in decided]
        companions.write()
        store.save_all(
            work, [store.build_update(work, account, after, companions.fact(after)) for account, after in complete]
        )
        return left

    def _accounts(self) -> Iterator[tuple[UserId, tuple[Account, bool]]]:
        work, secrets = self._work, self._work.schema.tables.secrets
        has_traces = work.schema.traces_of(secrets.c.user_id)
        query = sa.select(*work.schema.state, has_traces.label("has_traces"))
        query = query.where(secrets.c.user_id.in_(self.users), work.schema.is_of_before)
        try:
            rows = work.rows(query)
        except sealed.UNREADABLE:
            raise batches.Unsupported from None
        for *state, traces in rows:
            account = Account(*state)
            yield account.user_id, (account, bool(traces))

    def alone(self, user_id: UserId, *, trial: bool) -> None:
        """Adopt one user. Raises one of `_LEFT` where that cannot be."""
        work = self._work
        if not is_legacy(work, user_id):
            # A login was faster, and has adopted this user; or the row is none that can be adopted.
            reading.find(work, user_id)
        elif trial:
            _opened(work, _unproven(work, user_id) or Account(user_id))
        else:
            adopt_one(work, user_id)


class _Companions:
    """What some users have in the other tables: hashes of codes and raw tokens, to be hashed under the key."""

    def __init__(self, work: Attempt, accounts: Sequence[Account]) -> None:
        self._work = work
        self._accounts = {account.user_id: account for account in accounts}
        _, codes, devices, _ = work.schema.tables
        self._codes: dict[UserId, list[HeldCode]] = {user: [] for user in self._accounts}
        self._devices: dict[UserId, list[HeldDevice]] = {user: [] for user in self._accounts}
        self._hashed: list[dict[str, Any]] = []
        self._tokens: list[dict[str, Any]] = []
        if not accounts:
            return
        code_query = sa.select(codes.c.user_id, *work.schema.held_code).where(codes.c.user_id.in_(self._accounts))
        device_query = sa.select(devices.c.user_id, *work.schema.held_device).where(
            devices.c.user_id.in_(self._accounts), devices.c.revoked_at.is_(None)
        )
        try:
            for user, *columns in work.rows(code_query.order_by(codes.c.id)):
                self._hear_code(user, HeldCode(*columns))
            for user, *columns in work.rows(device_query.order_by(devices.c.id)):
                self._hear_device(user, HeldDevice(*columns))
        except sealed.UNREADABLE:
            raise (Unreadable if len(accounts) == 1 else batches.Unsupported) from None

    def _hear_code(self, user: UserId, code: HeldCode) -> None:
        if user not in self._accounts:
            return
        fresh = adopted_hash(self._work.keyring, user, code.code_hash)
        self._hashed.append({"row": code.id, "raw": code.code_hash, "hash": fresh})
        self._codes[user].append(code._replace(code_hash=fresh))

    def _hear_device(self, user: UserId, device: HeldDevice) -> None:
        account = self._accounts.get(user)
        if account is None:
            return
        hash_, series = device_series.adopted(self._work, account, device.trust_token, device.trusted_until)
        self._tokens.append({"row": device.id, "raw": device.trust_token, "hash": hash_, "series": series})
        # Legacy rows spell browser and platform differently; clear them, the next login fills them in.
        plain = device._replace(
            trust_token=hash_,
            device_fingerprint=series,
            browser=None,
            platform=None,
            previous_token=None,
            rotated_at=None,
        )
        self._devices[user].append(plain)

    def sealed(self, account: Account) -> Account:
        """The state that seals what will stand in the other tables."""
        return account._replace(
            codes_digest=as_older(sealed.codes_digest(self._codes[account.user_id])),
            devices_digest=sealed.devices_digest(self._devices[account.user_id]),
        )

    def fact(self, after: Account) -> Fact:
        """What the log says of the adoption of this user."""
        details = {
            "devices": len(self._devices[after.user_id]),
            "backup_codes": len(sealed.live(self._codes[after.user_id])),
            "had_secret": bool(after.secret),
        }
        return Fact(Kind.ADOPTED, details=details)

    def write(self) -> None:
        """Put the hashes in their place. Raises Conflict where a row is no longer what was read."""
        _, codes, devices, _ = self._work.schema.tables
        hashing = sa.update(codes).where(codes.c.id == sa.bindparam("row"), codes.c.code_hash == sa.bindparam("raw"))
        self._execute(hashing.values(code_hash=sa.bindparam("hash")), self._hashed)
        renaming = sa.update(devices).where(
            devices.c.id == sa.bindparam("row"), devices.c.trust_token == sa.bindparam("raw")
        )
        values: dict[str, Any] = {
            "trust_token": sa.bindparam("hash"),
            "device_fingerprint": sa.bindparam("series"),
            "browser": None,
            "platform": None,
            "previous_token": None,
            "rotated_at": None,
        }
        self._execute(renaming.values(values), self._tokens)

    def _execute(self, statement: sa.Update, changes: list[dict[str, Any]]) -> None:
        work = self._work
        at_once = len(changes) if store.counts_many(work) else 1
        parts = [changes[first : first + at_once] for first in range(0, len(changes), max(at_once, 1))]
        if sum(work.write(statement, part).rowcount for part in parts) != len(changes):
            raise Conflict


def _rowless_users(work: Attempt) -> sa.ColumnElement[bool]:
    secrets, users_id = work.schema.tables.secrets, work.schema.users_id
    return sa.and_(
        ~sa.exists().where(secrets.c.user_id == users_id),
        work.schema.rows_of(users_id),
        ~work.schema.traces_of(users_id),
    )


def is_legacy(work: Attempt, user_id: UserId) -> bool:
    """Whether nothing of this user was ever written by Twofold; a row that was and has lost its MAC is no legacy."""
    secrets, stored = work.schema.tables.secrets, work.stored(user_id)
    query = sa.select(work.schema.is_of_before).where(secrets.c.user_id == stored)
    rows = work.connection.execute(query).scalars().all()
    if rows and not rows[0]:
        return False
    is_ours, is_any, *_ = work.connection.execute(work.schema.traces, {"user": stored}).one()
    return not is_ours and (bool(rows) or bool(is_any))


def _unproven(work: Attempt, user_id: UserId) -> Account | None:
    """The legacy row of a user, locked; None where there is none. Raises Tampered where it does not read."""
    try:
        row = work.schema.read_locked.first(work.connection, (user_id,))
    except sealed.UNREADABLE:
        raise reading.tampered(user_id) from None
    return None if row is None else Account(*row[: len(Account._fields)])


def _begun(work: Attempt, account: Account) -> Account:
    """The state with which the user's chain begins. Raises Unreadable."""
    secret, algorithm = _opened(work, account), named(account.algorithm)
    if algorithm is None and secret is not None:
        raise Unreadable
    before = Account(
        account.user_id,
        algorithm=algorithm or "SHA1",
        digits=account.digits,
        period=account.period,
        is_enabled=account.is_enabled,
        is_verified=account.is_verified,
        last_used_step=account.last_used_step,
        last_used_at=account.last_used_at,
        failed_attempts=account.failed_attempts,
        last_failed_at=account.last_failed_at,
        locked_until=account.locked_until,
        enabled_at=(account.enabled_at or work.now) if account.is_enabled else account.enabled_at,
        disabled_at=account.disabled_at,
    )
    return before if secret is None else totp.adopted(work, before, secret)


def _opened(work: Attempt, account: Account) -> bytes | None:
    if not account.secret:
        if account.is_enabled:
            raise Unreadable
        return None
    text = account.secret
    if text.startswith("gAAAA"):
        text = _unfernet(work, text)
    try:
        base32 = text.replace(" ", "").replace("-", "").rstrip("=").upper()
        secret = base64.b32decode(base32 + "=" * (-len(base32) % 8))
    except binascii.Error:
        raise Unreadable from None
    if len(secret) < _SHORTEST_SECRET:
        raise Unreadable
    return secret


def read_fernet_keys(text: str) -> list[Fernet]:
    """Read Fernet keys, comma-separated. Raises ConfigurationError, without a word of them, where there are none."""
    try:
        keys = [Fernet(key.strip()) for key in text.split(",") if key.strip()]
    except ValueError:
        keys = []
    if not keys:
        raise ConfigurationError("TWOFOLD_LEGACY_FERNET_KEY holds no Fernet key.")
    return keys


def _unfernet(work: Attempt, token: str) -> str:
    configured = work.settings.legacy_fernet_key
    if configured is None:
        raise Unreadable
    keys = read_fernet_keys(configured.get_secret_value())
    try:
        return MultiFernet(keys).decrypt(token).decode("ascii")
    except (InvalidToken, UnicodeDecodeError):
        raise Unreadable from None
