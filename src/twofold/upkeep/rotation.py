"""Key rotation, online: say which key each value needs, and re-seal in batches what can be re-sealed.

Secrets, passkeys and rows are written anew under the active key. Hashes of backup codes and device tokens cannot be,
since nobody has what was hashed: they move when codes are regenerated and devices rotate or expire. Events keep the key
under which they were written.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold import provenance
from twofold.account import reading, sealed, shown, store
from twofold.account.attempt import Fact
from twofold.account.row import Account
from twofold.account.store import Update
from twofold.arguments import batch, whole
from twofold.errors import MissingKey, Tampered
from twofold.kinds import Kind
from twofold.passkeys import held
from twofold.totp import factor as totp
from twofold.upkeep import batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twofold.account.attempt import Attempt
    from twofold.outcomes import UserId


@dataclass(frozen=True, slots=True)
class KeyUse:
    """How many values name one key, `foreign` of which hold the check value of another key of that name.

    It may go from TWOFOLD_KEYS when nothing needs it but events, for which TWOFOLD_AUDIT_KEYS has a place (`is_audit`).
    """

    kid: str
    is_active: bool
    is_configured: bool
    secrets: int
    states: int
    backup_codes: int
    devices: int
    events: int
    passkeys: int = 0
    foreign: int = 0
    is_audit: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether another key of this name, or one of another deployment, wrote everything that names it."""
        named = self.secrets + self.states + self.backup_codes + self.devices + self.passkeys + self.events
        return 0 < self.foreign == named

    @property
    def is_needed(self) -> bool:
        """Whether a login may need this key."""
        return self.is_active or bool(self.secrets or self.states or self.backup_codes or self.devices or self.passkeys)


@dataclass(frozen=True, slots=True)
class Rotated:
    """One batch of a rotation.

    `done` rows were re-sealed, the users in `skipped` have rows that do not open, and the next batch begins after
    `last_id`.
    """

    done: int
    skipped: tuple[str, ...]
    last_id: int | None


def status(work: Attempt) -> tuple[KeyUse, ...]:
    """Count what is written under each key: configured keys in their order, those for audits, then missing ones."""
    secrets, codes, devices, events = work.schema.tables
    live = devices.c.revoked_at.is_(None) & (devices.c.trusted_until > work.now)
    shown_codes = _kids(work, secrets.c.shown_codes, where=secrets.c.shown_codes != shown.KEPT)
    uses = {
        "secrets": _kids(work, secrets.c.secret, secrets.c.pending_secret) + shown_codes,
        "states": _kids(work, secrets.c.state_mac),
        "backup_codes": _kids(work, codes.c.code_hash, where=codes.c.is_used.is_(sa.false())),
        "devices": _kids(work, devices.c.trust_token, where=live),
        "events": _kids(work, events.c.mac),
        "passkeys": Counter[tuple[str, bool]](),
    }
    # A process that began before there was a table must not say that nothing needs a key.
    if (passkeys := sealed.current_passkeys(work)) is not None:
        columns = (passkeys.c.credential_key, passkeys.c.credential_id, passkeys.c.public_key)
        uses["passkeys"] = _kids(work, *columns, where=passkeys.c.revoked_at.is_(None))
    found = sorted({kid for counted in uses.values() for kid, _ in counted} - set(work.keyring.prefixes))
    return tuple(
        KeyUse(
            kid=kid,
            is_active=kid == work.keyring.active,
            is_configured=kid in work.keyring.kids,
            is_audit=kid in work.keyring.audit_kids,
            foreign=sum(counted[kid, True] for counted in uses.values()),
            **{what: counted[kid, False] + counted[kid, True] for what, counted in uses.items()},
        )
        for kid in (*work.keyring.prefixes, *found)
    )


def rotate(work: Attempt, *, after: int = 0, limit: int = 100) -> Rotated:
    """Re-seal the next rows, in the order of their ids after `after`, that another key than the active one wrote.

    A batch is written together, or row by row where one of them stands in the way, and logins go on meanwhile. Give
    `last_id` back as `after` until it is None. A row that does not open is named in `skipped` and left as it is; one of
    before Twofold is for `legacy.adopt`. Backup codes that a session may see again cannot be re-sealed without that
    session: they go once their ten minutes are over. Raises WrongKey or MissingKey where not one row was written under
    the configured keys.
    """
    work.need_lock()
    if after == 0:
        provenance.require_keys(work)
        sealed.current_passkeys(work)
    secrets = work.schema.tables.secrets
    # A key id may hold an underscore, which LIKE would read as any character.
    written = (secrets.c.state_mac, secrets.c.secret, secrets.c.pending_secret)
    active = work.keyring.prefixes[work.keyring.active]
    stale = sa.or_(*(~column.startswith(active, autoescape=True) for column in written))
    # Backup codes whose time to be shown is over are cleared by any write.
    seals_codes = secrets.c.shown_codes != shown.KEPT
    is_over = secrets.c.updated_at < work.now - shown.LIFETIME
    stale |= seals_codes & (is_over | ~secrets.c.shown_codes.startswith(active, autoescape=True))
    if (passkeys := work.schema.passkeys) is not None:
        in_passkeys = (passkeys.c.credential_key, passkeys.c.credential_id, passkeys.c.public_key)
        is_stale = sa.or_(*(~column.startswith(active, autoescape=True) for column in in_passkeys))
        is_live = passkeys.c.revoked_at.is_(None)
        stale |= sa.exists().where(passkeys.c.user_id == secrets.c.user_id, is_live, is_stale)
    is_ours = ~work.schema.is_of_before | work.schema.traces_of(secrets.c.user_id)
    query = sa.select(secrets.c.id, secrets.c.user_id).where(secrets.c.id > whole("after", after), stale, is_ours)
    rows = work.connection.execute(query.order_by(secrets.c.id).limit(batch(limit, batches.LARGEST))).all()
    users: list[UserId] = [row.user_id for row in rows]
    skipped = batches.write(work, users, partial(_together, work, users), partial(_alone, work), (MissingKey, Tampered))
    return Rotated(len(rows) - len(skipped), skipped, rows[-1].id if rows else None)


def _together(work: Attempt, users: Sequence[UserId]) -> list[str]:
    """Re-seal a batch with a handful of statements; returns the users whose rows do not open."""
    if not store.counts_many(work):
        raise batches.Unsupported
    secrets = work.schema.tables.secrets
    query = sa.select(*work.schema.state, secrets.c.state_mac).where(secrets.c.user_id.in_(users))
    try:
        rows = work.rows(query)
    except sealed.UNREADABLE:
        raise batches.Unsupported from None
    skipped, writings = list[str](), list[Update]()
    for *state, state_mac in rows:
        account = Account(*state)
        if account.passkeys_digest is not None:
            # They are rows of their own, so their owner is written alone.
            raise batches.Unsupported
        try:
            reading.prove(work, account, state_mac)
            writings.append(store.build_update(work, account, totp.resealed(work, account), Fact(Kind.RESEALED)))
        except (MissingKey, Tampered):
            skipped.append(str(account.user_id))
    store.save_all(work, writings)
    return skipped


def _alone(work: Attempt, user_id: UserId) -> None:
    """Re-seal one row. Raises Tampered or MissingKey where it does not open."""
    account = reading.find(work, user_id)
    if account is None:
        return
    digest = account.passkeys_digest
    if digest is not None:
        account, digest = _with_passkeys(work, account)
    after = totp.resealed(work, account)._replace(passkeys_digest=digest)
    store.save(work, account, after, Fact(Kind.RESEALED))


def _with_passkeys(work: Attempt, account: Account) -> tuple[Account, str | None]:
    """Re-seal the passkeys of a user, too; the state after the alarm where they were altered, and their digest.

    What was altered is left as it is: it is not for us to seal.
    """
    account, passkeys = held.compared(work, account, sealed.passkeys(work, account), None)
    if passkeys is None:
        return account, account.passkeys_digest
    table, anew = sealed.required_passkeys(work), [held.resealed(work, account, passkey) for passkey in passkeys]
    for passkey in anew:
        values = {name: getattr(passkey, name) for name in held.Sealed._fields}
        work.write(sa.update(table).where(table.c.id == passkey.id).values(values))
    return account, sealed.passkeys_digest(anew)


def _kids(
    work: Attempt, *columns: sa.Column[str], where: sa.ColumnElement[bool] | None = None
) -> Counter[tuple[str, bool]]:
    """Count values by the key that they name, and by whether another key of that name wrote them."""
    counted: Counter[tuple[str, bool]] = Counter()
    prefixes = work.keyring.prefixes
    for column in columns:
        query = sa.select(_beginning(work, column).label("beginning")).where(column.is_not(None))
        found = (query if where is None else query.where(where)).subquery()
        # Of a subquery, since PostgreSQL takes an expression with parameters for another one each time.
        counting = sa.select(found.c.beginning, sa.func.count()).group_by(found.c.beginning)
        for beginning, number in work.connection.execute(counting):
            match beginning.split(":"):
                case ["v1", kid, _, *_]:
                    counted[kid, beginning != prefixes.get(kid, beginning)] += number
                case _:
                    counted["legacy", False] += number
    return counted


# v1, a key id of 16 characters and the check value, each with its colon.
_LONGEST_PREFIX = 3 + 17 + 9


def _beginning(work: Attempt, column: sa.Column[str]) -> sa.ColumnElement[str]:
    """What a value begins with: the prefix of a configured key where it is that, so that most values are one group."""
    own = [(column.startswith(prefix, autoescape=True), prefix) for prefix in work.keyring.prefixes.values()]
    return sa.case(*own, else_=sa.func.substr(column, 1, _LONGEST_PREFIX))
