"""Rows of before Twofold, brought under it without anyone enrolling again.

A legacy row of `user_mfa_secrets` has no state MAC, no event is chained to it, and its secret is plain base32 or a
Fernet token. Adopting it seals the secret, turns the raw tokens of its trusted devices into keyed hashes, and begins
the user's chain with an `adopted` event, by the same compare-and-swap as everything else. Backup codes keep their
hashes and go on working until they are regenerated. Backups, write-ahead logs and replicas still hold what stood in
the columns before.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from twofold import account as accounts
from twofold import trusted_devices
from twofold.account import Fact, OneByOne
from twofold.errors import ConfigurationError, MFAError, Tampered, UnknownUser
from twofold.events.kinds import Kind
from twofold.state import Account
from twofold.totp import factor as totp
from twofold.totp.algorithm import named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twofold.account import Work
    from twofold.outcomes import UserId

# RFC 4226 §4 asks for 128 bits; some applications made secrets of 80, and their users are not to be locked out.
_SHORTEST_SECRET = 10
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Legacy:
    """How many rows of before Twofold there are, by what is to be done with them."""

    rows: int
    devices: int
    backup_codes: int


@dataclass(frozen=True, slots=True)
class Adopted:
    """One batch: rows adopted, users whose secret cannot be opened and is left, and where the next batch begins."""

    done: int
    left: tuple[str, ...]
    last_id: int | None


class Unreadable(MFAError):
    """A secret of before Twofold is neither base32 nor opened by the Fernet keys that are configured."""


def found(work: Work, user_id: UserId, beside: accounts.Beside) -> tuple[Account | None, Sequence[Any]]:
    """Read a user's row like `account.read`, and adopt a legacy one on the way where TWOFOLD_LEGACY_ROWS allows it."""
    try:
        return accounts.read(work, user_id, beside)
    except Tampered:
        if not work.settings.legacy_rows:
            raise
        account = accounts.find(work, user_id, trusting=True)
        if account is None or not is_legacy(work, account):
            raise
        return _adopt(work, account), ()


def survey(work: Work) -> Legacy:
    """Count what is left of before Twofold."""
    secrets, codes, devices, _ = work.schema.tables
    queries = (
        sa.select(sa.func.count()).where(_legacy_rows(work)),
        sa.select(sa.func.count()).where(
            devices.c.revoked_at.is_(None),
            devices.c.trust_token.not_like("v1:%"),
            devices.c.user_id.in_(sa.select(secrets.c.user_id).where(_legacy_rows(work))),
        ),
        sa.select(sa.func.count()).where(codes.c.is_used.is_(sa.false()), codes.c.code_hash.not_like("v1:%")),
    )
    rows, raw, hashes = (int(work.connection.execute(query).scalar_one()) for query in queries)
    return Legacy(rows, raw, hashes)


def adopt(work: Work, *, after: int = 0, limit: int = 100, trial: bool = False) -> Adopted:
    """Adopt the next legacy rows in the order of their ids after `after`; give `last_id` back until it is None.

    A batch is written together, or row by row where one of them stands in the way, so that logins go on and a run that
    was stopped goes on where it was. A `trial` opens every secret and writes nothing.
    """
    if not trial:
        work.need_transaction()
    page = _Page(work, after, min(max(limit, 1), _BATCH))
    try:
        with work.apart():
            left = page.together(trial=trial)
    except (Tampered, OneByOne):
        left = page.one_by_one(trial=trial)
    return Adopted(len(page.users) - len(left), tuple(left), page.last_id)


class _Page:
    """The next legacy rows."""

    def __init__(self, work: Work, after: int, limit: int) -> None:
        self._work = work
        secrets = work.schema.tables.secrets
        query = sa.select(secrets.c.id, secrets.c.user_id).where(secrets.c.id > after, _legacy_rows(work))
        rows = work.connection.execute(query.order_by(secrets.c.id).limit(limit)).all()
        self.users: tuple[UserId, ...] = tuple(row.user_id for row in rows)
        self.last_id: int | None = rows[-1].id if rows else None

    def together(self, *, trial: bool) -> list[str]:
        """Read, decide and write all of them with a handful of statements; returns the users who are left."""
        work, left, decided = self._work, list[str](), list[tuple[Account, Account]]()
        if not trial and not accounts.counts_many(work):
            raise OneByOne
        for account, has_traces in self._accounts():
            try:
                if has_traces:
                    raise Unreadable
                decided.append((account, _begun(work, account)))
            except Unreadable:
                left.append(str(account.user_id))
        if trial:
            return left
        devices = trusted_devices.Adopting(work, [after for _, after in decided])
        accounts.save_all(
            work,
            [accounts.written(work, seen, after, _fact(after, devices.count(after))) for seen, after in decided],
        )
        devices.write()
        return left

    def _accounts(self) -> Iterator[tuple[Account, bool]]:
        work, secrets = self._work, self._work.schema.tables.secrets
        has_traces = work.schema.traces_of(secrets.c.user_id)
        query = sa.select(*work.schema.state, has_traces.label("has_traces"))
        query = query.where(secrets.c.user_id.in_(self.users), _legacy_rows(work))
        try:
            rows = work.rows(query)
        except (TypeError, ValueError, OverflowError):
            # SQLite keeps whatever is written into a column, and a moment that is none does not read.
            raise OneByOne from None
        for *state, traces in rows:
            yield Account(*state), bool(traces)

    def one_by_one(self, *, trial: bool) -> list[str]:
        """Adopt each by itself, so that those who can be are; returns the users who are left."""
        work, left = self._work, list[str]()
        for user_id in self.users:
            try:
                with work.apart():
                    account = accounts.find(work, user_id, trusting=True)
                    if account is None or not is_legacy(work, account):
                        left.append(str(user_id))
                    elif trial:
                        _opened(work, account)
                    else:
                        _adopt(work, account)
            except (Unreadable, UnknownUser, Tampered):
                left.append(str(user_id))
        return left


def _legacy_rows(work: Work) -> sa.ColumnElement[bool]:
    secrets = work.schema.tables.secrets
    return secrets.c.state_mac.is_(None) & (secrets.c.event_count == 0)


def is_legacy(work: Work, account: Account) -> bool:
    """Whether nothing of this user was ever written by Twofold; a row that was and has lost its MAC is no legacy."""
    secrets = work.schema.tables.secrets
    unproven = sa.select(secrets.c.id).where(secrets.c.user_id == account.user_id, _legacy_rows(work))
    if work.connection.execute(unproven).first() is None:
        return False
    return not work.connection.execute(work.schema.traces, {"user": account.user_id}).scalar_one()


def _adopt(work: Work, account: Account) -> Account:
    work.need_transaction()
    after = _begun(work, account)
    devices = trusted_devices.Adopting(work, [after])
    saved = accounts.save(work, account, after, _fact(after, devices.count(after)))
    devices.write()
    return saved


def _begun(work: Work, account: Account) -> Account:
    """The state with which the user's chain begins. Raises Unreadable."""
    secret, algorithm = _opened(work, account), named(account.algorithm)
    if algorithm is None and secret is not None:
        raise Unreadable
    before = account._replace(
        algorithm=algorithm or "SHA1",
        pending_secret=None,
        pending_at=None,
        enabled_at=(account.enabled_at or work.now) if account.is_enabled else account.enabled_at,
        last_challenge=0,
        event_head=None,
    )
    return before if secret is None else totp.adopted(work, before, secret)


def _fact(after: Account, devices: int) -> Fact:
    return Fact(Kind.ADOPTED, details={"devices": devices, "had_secret": bool(after.secret)})


def _opened(work: Work, account: Account) -> bytes | None:
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


def _unfernet(work: Work, token: str) -> str:
    configured = work.settings.legacy_fernet_key
    if configured is None:
        raise Unreadable
    try:
        keys = [Fernet(key.strip()) for key in configured.get_secret_value().split(",") if key.strip()]
    except ValueError:
        raise ConfigurationError("TWOFOLD_LEGACY_FERNET_KEY holds no Fernet key.") from None
    try:
        return MultiFernet(keys).decrypt(token).decode("ascii")
    except (InvalidToken, UnicodeDecodeError):
        raise Unreadable from None
