"""The tables as the live database has them, and the statements that every login sends."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from twofold.account import digests
from twofold.account.chain import Link
from twofold.account.driver import Statement
from twofold.account.hiding import MayHide
from twofold.account.lock_wait import LOCK_WAIT
from twofold.account.row import LOGIN, Account
from twofold.account.standby import IsStandby
from twofold.errors import ConfigurationError, SchemaDrift, UnknownUser
from twofold.metadata import UsersColumn, tables
from twofold.schema import catalog, place
from twofold.schema.history import PASSKEYS, is_there
from twofold.schema.users.ids import SERVED, Ids, ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from twofold.outcomes import UserId

    Select = sa.Select[*tuple[Any, ...]]

STATE: Final = (*Account._fields[1:], "state_mac", "updated_at")
"""What a swap writes."""

EVENT: Final = (*Link._fields[1:], "mac")
"""What an event holds beside the user's id."""

# Number, moment and MAC of an event stand in the state as well.
_SHARED: Final = {"seq": "event_count", "created_at": "updated_at", "mac": "event_head"}


def login_columns(anew: Iterable[str] = ()) -> tuple[str, ...]:
    """What a swap writes where only that has changed which a login changes, and these digests."""
    return (*LOGIN, *anew, "state_mac", "updated_at")


class HeldCode(NamedTuple):
    """A backup code as it is read beside a user's row."""

    id: int
    code_hash: str
    expires_at: datetime | None
    is_used: bool


CONTESTED: Final = "contested"
"""Stands in the place of a device's token before the last when another one of its series came: no hash looks so."""


class HeldDevice(NamedTuple):
    """A trusted device as it is read beside a user's row: the columns that decide, and its name."""

    id: int
    device_fingerprint: str
    browser: str | None
    platform: str | None
    trust_token: str
    previous_token: str | None
    rotated_at: datetime | None
    trusted_until: datetime
    last_used_at: datetime | None
    created_at: datetime
    device_name: str | None

    @property
    def digested(self) -> Sequence[Any]:
        """The columns that decide."""
        return self[: len(digests.DEVICES)]

    @property
    def is_contested(self) -> bool:
        """Whether an old token of the device came, so that more than one browser may have its cookie."""
        return self.previous_token == CONTESTED


class HeldPasskey(NamedTuple):
    """A passkey as it is read beside a user's row: the columns that decide, its name, and how it is reached."""

    id: int
    credential_key: str
    credential_id: str
    public_key: str
    user_handle: str
    rp_id: str
    algorithm: int
    sign_count: int
    backup_eligible: bool
    backup_state: bool
    user_verified: bool
    suspended_at: datetime | None
    name: str
    transports: str | None

    @property
    def digested(self) -> Sequence[Any]:
        """The columns that decide."""
        return self[: len(digests.PASSKEYS)]


class Schema:
    """The tables with the type that the live `users.id` has, and the statements of the hot path, built once.

    Passkeys are there where the database has a table for them.
    """

    def __init__(self, users: str, ids: Ids, *, has_passkeys: bool = False) -> None:
        self.ids = ids
        self.user_id_type = user_id_type = ids.type
        metadata = sa.MetaData()
        reference = UsersColumn.parse(users)
        self.users = sa.Table(
            reference.table, metadata, sa.Column(reference.column, user_id_type), schema=reference.schema
        )
        self.users_id = self.users.c[reference.column]
        self.tables = tables(metadata, users, passkeys=has_passkeys)
        secrets, codes, devices, events = self.tables
        self.passkeys = self.tables.passkeys
        self.state = tuple(secrets.c[name] for name in Account._fields)
        self.held_code = tuple(codes.c[name] for name in HeldCode._fields)
        self.held_device = tuple(devices.c[name] for name in HeldDevice._fields)
        self.held_passkey = (
            () if self.passkeys is None else tuple(self.passkeys.c[name] for name in HeldPasskey._fields)
        )

        # Nobody of ours has written this row.
        self.is_of_before = secrets.c.state_mac.is_(None) & (secrets.c.event_count == 0) & (secrets.c.version == 0)

        self._user = user = sa.bindparam("user", type_=user_id_type)
        read = sa.select(*self.state, secrets.c.state_mac).where(secrets.c.user_id == user)
        self.read = Statement(read, ["user"])
        self.read_current = Statement(read.add_columns(IsStandby()), ["user"])
        self.read_locked = Statement(read.with_for_update(), ["user"])
        live_devices = self._beside(self._with_codes(read), self.held_device, devices.c.revoked_at.is_(None))
        # What is read with the row, in one statement; nothing in particular for a challenge.
        self.read_beside: dict[str | None, Statement[Select]] = {
            "codes": Statement(self._beside(read, self.held_code), ["user"]),
            "devices": Statement(live_devices, ["user", "now"]),
            "passkeys": Statement(self._with_passkeys(read), ["user"]),
            None: Statement(self._with_passkeys(self._with_codes(read)), ["user", "now"]),
        }
        self.known = sa.select(self.users_id).where(self.users_id == user)
        self.traces = sa.select(self.traces_of(user), self.rows_of(user), IsStandby(), MayHide())

        self.swap = self._swap(STATE)
        self.swap_alone = Statement(self.swap.core.where(_waits_a_while()), self.swap.names)
        event = _binds(events, EVENT, "event")
        self.append = self._append(event)
        self._written = dict[Statement[sa.Update], dict[sa.Column[Any], Any]]()
        self.rotate = self._rotate()
        self.contest = self._contest()
        self.end_device = self._end_device()
        self.spend = self._spend()
        # What a login may change beside the row, and the digest that is written anew with it.
        self.made_anew: dict[Statement[sa.Update] | None, tuple[str, ...]] = {
            None: (),
            self.spend: ("codes_digest",),
            self.rotate: ("devices_digest",),
            self.contest: ("devices_digest",),
            self.end_device: ("devices_digest",),
        }
        if self.passkeys is not None:
            self.use_passkey = self._use_passkey(self.passkeys)
            self.made_anew[self.use_passkey] = ("passkeys_digest",)
        self.swap_at_login = {change: self._swap(login_columns(anew)) for change, anew in self.made_anew.items()}
        # MariaDB writes both rows with one statement, and counts both.
        self.swap_with = {change: self._swap_with(change, anew) for change, anew in self.made_anew.items() if change}
        # PostgreSQL does all of a login in one statement: two round trips for a whole verification.
        self.at_once = {change: self._at_once(change) for change in self.made_anew}

    def _with_codes(self, read: Select) -> Select:
        """The row, and whether there are backup codes."""
        secrets, codes, _, _ = self.tables
        now = sa.bindparam("now", type_=codes.c.expires_at.type)
        unexpired = codes.c.expires_at.is_(None) | (codes.c.expires_at > now)
        unused = sa.exists().where(codes.c.user_id == secrets.c.user_id, codes.c.is_used.is_(sa.false()), unexpired)
        return read.add_columns(unused)

    def _with_passkeys(self, read: Select) -> Select:
        """The row, once for each passkey that is not revoked."""
        if self.passkeys is None:
            return read
        return self._beside(read, self.held_passkey, self.passkeys.c.revoked_at.is_(None))

    def _beside(self, read: Select, columns: Sequence[sa.Column[Any]], *are_live: sa.ColumnElement[bool]) -> Select:
        """The row, once for each of the user's rows in another table; once where there is none."""
        secrets, table = self.tables.secrets, columns[0].table
        joined = secrets.outerjoin(table, sa.and_(table.c.user_id == secrets.c.user_id, *are_live))
        return read.add_columns(*columns).select_from(joined).order_by(table.c.id)

    def _swap(self, columns: Iterable[str]) -> Statement[sa.Update]:
        """Write these columns of the row, if nobody has written since it was seen."""
        secrets = self.tables.secrets
        state = _binds(secrets, columns, "new")
        swap = sa.update(secrets).values(state).where(secrets.c.user_id == self._user, secrets.c.version == _SEEN)
        return Statement(swap, [*(bind.key for bind in state.values()), "user", "seen"])

    def _append(self, event: dict[str, sa.BindParameter[Any]]) -> Statement[sa.Insert]:
        """Write a line where the log ends with the row: a row that was put back meets its own later lines."""
        events = self.tables.events
        row = {"user_id": self._user} | event
        line = sa.select(*row.values()).where(self._no_line_after(self._user, event["seq"]))
        append = sa.insert(events).from_select([*row], line).execution_options(preserve_rowcount=True)
        return Statement(append, ["user", *(bind.key for bind in event.values())])

    def _no_line_after(self, user: sa.ColumnElement[Any], seq: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        later = self.tables.events.alias("later")
        look = sa.select(later.c.seq).where(later.c.user_id == user, later.c.seq >= seq)
        # MariaDB locks what such a look passes, the first line of the next user too, and would wait for whoever
        # writes it; a line of this user is written by nobody else while the user's row is locked.
        return ~look.suffix_with("LOCK IN SHARE MODE SKIP LOCKED", dialect="mariadb").exists()

    def _rotate(self) -> Statement[sa.Update]:
        """Give a device its next token, if it still has the one that was seen."""
        devices = self.tables.devices
        names = ("trust_token", "previous_token", "rotated_at", "last_used_at", "ip_address", "browser", "platform")
        fresh = _binds(devices, names, "device")
        return self._change(
            devices, fresh | {"usage_count": devices.c.usage_count + 1}, self._held(), ["device", "held"]
        )

    def _contest(self) -> Statement[sa.Update]:
        """Mark a device whose series has more than one holder, if it still has the token that was seen."""
        devices = self.tables.devices
        return self._change(devices, _binds(devices, ("previous_token",), "device"), self._held(), ["device", "held"])

    def _held(self) -> sa.ColumnElement[bool]:
        """The device that has the token which was seen, unless it is revoked."""
        devices = self.tables.devices
        return (
            (devices.c.id == sa.bindparam("device"))
            & (devices.c.trust_token == sa.bindparam("held"))
            & devices.c.revoked_at.is_(None)
        )

    def _end_device(self) -> Statement[sa.Update]:
        """Revoke one device, if it is not revoked."""
        devices = self.tables.devices
        mark = _binds(devices, ("revoked_at", "revoked_reason"), "device")
        return self._change(
            devices, mark, (devices.c.id == sa.bindparam("device")) & devices.c.revoked_at.is_(None), ["device"]
        )

    def _spend(self) -> Statement[sa.Update]:
        """Mark a backup code as used, if it is not."""
        codes = self.tables.codes
        used = {"is_used": sa.true(), "used_at": sa.bindparam("code_used_at", type_=codes.c.used_at.type)}
        return self._change(
            codes, used, (codes.c.id == sa.bindparam("code")) & codes.c.is_used.is_(sa.false()), ["code"]
        )

    def _use_passkey(self, passkeys: sa.Table) -> Statement[sa.Update]:
        """Write what an answer of a passkey tells of it, if nobody has used, suspended or revoked it meanwhile."""
        told = _binds(passkeys, ("sign_count", "backup_state", "user_verified", "last_used_at"), "passkey")
        is_it = (
            (passkeys.c.id == sa.bindparam("passkey"))
            & (passkeys.c.sign_count == sa.bindparam("counted", type_=sa.BigInteger()))
            & passkeys.c.suspended_at.is_(None)
            & passkeys.c.revoked_at.is_(None)
        )
        return self._change(passkeys, told, is_it, ["passkey", "counted"])

    def _change(
        self, table: sa.Table, values: Mapping[str, Any], is_it: sa.ColumnElement[bool], names: Sequence[str]
    ) -> Statement[sa.Update]:
        """Write these values into the one row, which those that are named last tell."""
        bound = [value.key for value in values.values() if isinstance(value, sa.BindParameter)]
        change = Statement(sa.update(table).values(values).where(is_it), [*bound, *names])
        self._written[change] = {table.c[name]: value for name, value in values.items()}
        return change

    def _swap_with(self, change: Statement[sa.Update], anew: Iterable[str]) -> Statement[sa.Update]:
        """Swap the state and make a change in one statement, which finds both rows or neither."""
        secrets, columns = self.tables.secrets, login_columns(anew)
        state: dict[Any, Any] = {secrets.c[name]: bind for name, bind in _binds(secrets, columns, "new").items()}
        is_it: Any = change.core.whereclause
        is_theirs = change.core.table.c.user_id == secrets.c.user_id
        both = sa.update(secrets).values(state | self._written[change])
        both = both.where(secrets.c.user_id == self._user, secrets.c.version == _SEEN, is_theirs, is_it)
        return Statement(both, (*self.swap_at_login[change].names, *change.names))

    def _at_once(self, change: Statement[sa.Update] | None) -> Statement[sa.Insert]:
        """Swap the state, append the event, and make a change that must find its row, or do nothing of it."""
        secrets, _, _, events = self.tables
        event_only = _binds(events, (name for name in EVENT if name not in _SHARED), "event")
        shared = {name: _binds(secrets, [state], "new")[state] for name, state in _SHARED.items()}
        # Each value is sent once.
        row: dict[str, Any] = {name: (event_only | shared)[name] for name in EVENT}
        swap = self.swap_at_login[change].core.where(_waits_a_while(), self._no_line_after(self._user, row["seq"]))
        if change is not None:
            is_there: Any = change.core.whereclause
            swap = swap.where(sa.exists(sa.select(sa.true()).where(is_there)))
        swapped = swap.returning(secrets.c.user_id).cte("swapped")
        if change is not None:
            # Make the statement fail as a whole if somebody wrote the other row by hand between the two looks at it:
            # 1/0 aborts it (SQLSTATE 22012), and it is tried again.
            made = change.core.where(sa.exists(sa.select(swapped.c.user_id))).returning(sa.literal(1)).cte("changed")
            found = sa.select(sa.func.count()).select_from(made).scalar_subquery()
            row["seq"] = sa.cast(row["seq"].op("/")(found), sa.BigInteger())
        append = sa.insert(events).from_select(["user_id", *row], sa.select(swapped.c.user_id, *row.values()))
        swap_names = self.swap_at_login[change].names
        names = (*swap_names, *(bind.key for bind in event_only.values()), *(change.names if change else ()))
        return Statement(append.execution_options(preserve_rowcount=True), names)

    def traces_of(self, user_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Whether Twofold ever wrote anything about this user, apart from the row in `user_mfa_secrets`."""
        _, codes, devices, events = self.tables
        return sa.or_(
            sa.exists().where(events.c.user_id == user_id, events.c.mac.is_not(None)),
            sa.exists().where(codes.c.user_id == user_id, codes.c.code_hash.like("v1:%")),
            sa.exists().where(devices.c.user_id == user_id, devices.c.device_fingerprint.like("v1:%")),
            # No table of passkeys is of before.
            *(() if self.passkeys is None else (sa.exists().where(self.passkeys.c.user_id == user_id),)),
        )

    def rows_of(self, user_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Whether any of the other tables holds a row of this user, whoever wrote it."""
        return sa.or_(*(sa.exists().where(table.c.user_id == user_id) for table in self.others))

    @property
    def others(self) -> tuple[sa.Table, ...]:
        """Every table but that of the users' rows, in the order in which they are made."""
        _, *others = self.tables
        return tuple(others) if self.passkeys is None else (*others, self.passkeys)

    @classmethod
    def of(cls, connection: sa.Connection, users: str) -> Schema:
        """Read the type of `user_id` from the database.

        Raises SchemaDrift where the table is not there, ConfigurationError where SQLite does not enforce foreign keys:
        a deleted user would leave a factor behind, for whoever is given the same id next.
        """
        if connection.dialect.name == "sqlite" and not connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
            raise ConfigurationError(
                "SQLite must enforce foreign keys: call twofold.database.enforce_foreign_keys(engine) where you make "
                "it, so that every connection runs PRAGMA foreign_keys = ON."
            )
        found = catalog.read(connection, "user_mfa_secrets", place.ours(connection))
        if found is None or found.kind != "table":
            raise SchemaDrift(
                "The MFA tables are not in this database: `twofold db verify` says what is there, and "
                "`twofold db upgrade` makes them."
            )
        column = found.columns.get("user_id")
        held = None if column is None else ids(column.type, connection.dialect.name)
        if held is None:
            raise SchemaDrift(f"user_id is not {SERVED}; run `twofold db verify`.")
        return built(users, held, has_passkeys=_has_passkeys(connection))

    def with_passkeys(self, connection: sa.Connection) -> Schema:
        """The same tables, and that of passkeys where it was made since."""
        users = f"{self.users.schema}.{self.users.name}" if self.users.schema else self.users.name
        return built(f"{users}.{self.users_id.name}", self.ids, has_passkeys=_has_passkeys(connection))

    def stored(self, user_id: object) -> UserId:
        """The value as the column holds it. Raises UnknownUser where the column cannot hold it."""
        if (stored := self.ids.stored(user_id)) is None:
            raise UnknownUser
        return stored


@lru_cache(maxsize=32)
def built(users: str, ids: Ids, *, has_passkeys: bool = False) -> Schema:
    """The statements for one kind of users, which all faces of a process share: a tenth of a second each time."""
    return Schema(users, ids, has_passkeys=has_passkeys)


_SEEN: Final = sa.bindparam("seen", type_=sa.BigInteger())


def _has_passkeys(connection: sa.Connection) -> bool:
    """Whether the database has our table of passkeys; one of that name without its mark is the application's own."""
    (name,) = PASSKEYS.names
    # Most databases have none, which one look tells.
    found = catalog.read(connection, name, place.ours(connection)) if is_there(connection, name) else None
    return found is not None and PASSKEYS.mark in found.columns


def _waits_a_while() -> sa.ColumnElement[bool]:
    """Bound the waits for locks of a statement that commits alone, on PostgreSQL; always true.

    It has no column in it, so it is evaluated once, before any row is looked for.
    """
    # Written out: a value would be sent each time.
    bound = sa.literal_column(f"(SELECT set_config('lock_timeout', '{LOCK_WAIT}s', true))", sa.String())
    return bound.is_not(None)


def _binds(table: sa.Table, columns: Iterable[str], prefix: str) -> dict[str, sa.BindParameter[Any]]:
    return {name: sa.bindparam(f"{prefix}_{name}", type_=table.c[name].type) for name in columns}
