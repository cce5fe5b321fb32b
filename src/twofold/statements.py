"""The tables as the live database has them, and the statements that every login sends."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import NoSuchTableError

from twofold.driver import Statement
from twofold.errors import ConfigurationError, SchemaDrift, UnknownUser
from twofold.events.chain import Link
from twofold.events.kinds import Kind
from twofold.metadata import UsersColumn, tables
from twofold.state import Account

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twofold.outcomes import UserId

    Select = sa.Select[*tuple[Any, ...]]

# What a swap writes, and what it writes where only that has changed which a login changes.
STATE: Final = (*Account._fields[1:], "state_mac", "updated_at")
LOGIN: Final = slice(Account._fields.index("last_used_step"), Account._fields.index("event_head") + 1)
# What an event holds beside the user's id. Number, moment and MAC stand in the state as well.
EVENT: Final = (*Link._fields[1:], "mac")
_SHARED: Final = {"seq": "event_count", "created_at": "updated_at", "mac": "event_head"}


class HeldDevice(NamedTuple):
    """What a challenge reads of a trusted device; `said` is the kind of the last event that speaks of its trust."""

    id: int
    device_fingerprint: str
    device_name: str | None
    browser: str | None
    platform: str | None
    trust_token: str
    previous_token: str | None
    rotated_at: datetime | None
    trusted_until: datetime
    last_used_at: datetime | None
    created_at: datetime
    revoked_at: datetime | None
    said: str | None


class Schema:
    """The tables with the type that the live `users.id` has, and the statements of the hot path, built once."""

    def __init__(self, users: str, user_id_type: sa.types.TypeEngine[Any]) -> None:
        self.user_id_type = user_id_type
        metadata = sa.MetaData()
        reference = UsersColumn.parse(users)
        self.users = sa.Table(
            reference.table, metadata, sa.Column(reference.column, user_id_type), schema=reference.schema
        )
        self.users_id = self.users.c[reference.column]
        self.tables = tables(metadata, users)
        secrets, _, devices, events = self.tables
        self.state = tuple(secrets.c[name] for name in Account._fields)
        self.held_device = (*(devices.c[name] for name in HeldDevice._fields[:-1]), self._said())

        self._user = user = sa.bindparam("user", type_=user_id_type)
        read = sa.select(*self.state, secrets.c.state_mac).where(secrets.c.user_id == user)
        self.read = Statement(read, ["user"])
        self.read_locked = Statement(read.with_for_update(), ["user"])
        with_codes = self._with_codes(read)
        self.read_with_codes = Statement(with_codes, ["user", "now"])
        self.read_with_device = Statement(self._with_device(with_codes), ["user", "now", "line"])
        self.known = sa.select(self.users_id).where(self.users_id == user)
        self.traces = sa.select(self.traces_of(user))

        self.swap = self._swap(STATE)
        self.swap_at_login = self._swap((*Account._fields[LOGIN], "state_mac", "updated_at"))
        event = _binds(events, EVENT, "event")
        self.append = Statement(
            sa.insert(events).values(user_id=user, **event), ["user", *(bind.key for bind in event.values())]
        )
        self.rotate = self._rotate()
        # PostgreSQL does all of a login in one statement: two round trips for a whole verification.
        self.at_once = {change: self._at_once(change) for change in (None, self.rotate)}

    def _with_codes(self, read: Select) -> Select:
        """The row, and whether there are backup codes."""
        secrets, codes, _, _ = self.tables
        now = sa.bindparam("now", type_=codes.c.expires_at.type)
        unexpired = codes.c.expires_at.is_(None) | (codes.c.expires_at > now)
        unused = sa.exists().where(codes.c.user_id == secrets.c.user_id, codes.c.is_used.is_(sa.false()), unexpired)
        return read.add_columns(unused)

    def _said(self) -> sa.ColumnElement[str | None]:
        """The last that the log says of a device's trust: its row can be put back from an older copy."""
        secrets, _, devices, events = self.tables
        kind, fingerprint = events.c.event_type, events.c.device_fingerprint
        own = kind.in_(_constants(Kind.DEVICE_TRUSTED, Kind.DEVICE_REVOKED, Kind.DEVICE_THEFT))
        of_all = kind.in_(_constants(Kind.DEVICE_REVOKED, Kind.PASSWORD_CHANGED, Kind.ADOPTED))
        query = sa.select(kind).where(
            events.c.user_id == secrets.c.user_id,
            events.c.seq.between(sa.literal_column("1"), secrets.c.event_count),
            (own & (fingerprint == devices.c.device_fingerprint)) | (of_all & fingerprint.is_(None)),
        )
        return query.order_by(events.c.seq.desc()).limit(sa.literal_column("1")).scalar_subquery()

    def _with_device(self, read: Select) -> Select:
        """The row, and the trusted device of one line."""
        secrets, _, devices, _ = self.tables
        is_this = sa.and_(
            devices.c.user_id == secrets.c.user_id,
            devices.c.device_fingerprint == sa.bindparam("line"),
            devices.c.revoked_at.is_(None),
        )
        return read.add_columns(*self.held_device).select_from(secrets.outerjoin(devices, is_this))

    def _swap(self, columns: Iterable[str]) -> Statement[sa.Update]:
        """Write these columns of the row, if nobody has written since it was seen."""
        secrets = self.tables.secrets
        state = _binds(secrets, columns, "new")
        swap = sa.update(secrets).values(state).where(secrets.c.user_id == self._user, secrets.c.event_count == _SEEN)
        return Statement(swap, [*(bind.key for bind in state.values()), "user", "seen"])

    def _rotate(self) -> Statement[sa.Update]:
        """Give a device its next token, if it still has the one that was seen."""
        devices = self.tables.devices
        names = ("trust_token", "previous_token", "rotated_at", "last_used_at", "ip_address", "browser", "platform")
        fresh = _binds(devices, names, "device")
        statement = (
            sa.update(devices)
            .values(**fresh, usage_count=devices.c.usage_count + 1)
            .where(
                devices.c.id == sa.bindparam("device"),
                devices.c.trust_token == sa.bindparam("held"),
                devices.c.revoked_at.is_(None),
            )
        )
        return Statement(statement, [*(bind.key for bind in fresh.values()), "device", "held"])

    def _at_once(self, change: Statement[sa.Update] | None) -> Statement[sa.Insert]:
        """Swap the state, append the event, and make a change that must find its row, or do nothing of it."""
        secrets, _, _, events = self.tables
        swap = self.swap_at_login.core
        if change is not None:
            is_there: Any = change.core.whereclause
            swap = swap.where(sa.exists(sa.select(sa.true()).where(is_there)))
        swapped = swap.returning(secrets.c.user_id).cte("swapped")
        # Each value is sent once.
        told = _binds(events, (name for name in EVENT if name not in _SHARED), "event")
        shared = {name: _binds(secrets, [state], "new")[state] for name, state in _SHARED.items()}
        row: dict[str, Any] = {name: (told | shared)[name] for name in EVENT}
        if change is not None:
            # Whoever writes the other row by hand may be faster still: then this divides by zero, and nothing is done.
            made = change.core.where(sa.exists(sa.select(swapped.c.user_id))).returning(sa.literal(1)).cte("changed")
            found = sa.select(sa.func.count()).select_from(made).scalar_subquery()
            row["seq"] = sa.cast(row["seq"].op("/")(found), sa.BigInteger())
        append = sa.insert(events).from_select(["user_id", *row], sa.select(swapped.c.user_id, *row.values()))
        names = (*self.swap_at_login.names, *(bind.key for bind in told.values()), *(change.names if change else ()))
        return Statement(append.execution_options(preserve_rowcount=True), names)

    def traces_of(self, user_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Whether Twofold ever wrote anything about this user, apart from the row in `user_mfa_secrets`."""
        _, codes, devices, events = self.tables
        return sa.or_(
            sa.exists().where(events.c.user_id == user_id, events.c.mac.is_not(None)),
            sa.exists().where(codes.c.user_id == user_id, codes.c.code_hash.like("v1:%")),
            sa.exists().where(devices.c.user_id == user_id, devices.c.device_fingerprint.like("v1:%")),
        )

    @classmethod
    def of(cls, connection: sa.Connection, users: str) -> Schema:
        """Read the type of `user_id` from the database.

        Raises SchemaDrift where the table is not there, ConfigurationError where SQLite does not enforce foreign keys:
        a deleted user would leave a factor behind, for whoever is given the same id next.
        """
        if connection.dialect.name == "sqlite" and not connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
            raise ConfigurationError(
                "SQLite must enforce foreign keys: run PRAGMA foreign_keys = ON on every connection."
            )
        try:
            columns = sa.inspect(connection).get_columns("user_mfa_secrets")
        except NoSuchTableError:
            raise SchemaDrift("The MFA tables are not in this database; run `twofold db upgrade`.") from None
        found = next((column["type"] for column in columns if column["name"] == "user_id"), None)
        match found:
            case sa.Integer():
                return cls(users, sa.BigInteger())
            case sa.Uuid():
                return cls(users, sa.Uuid())
            case sa.String():
                return cls(users, sa.String(found.length))
            case _:
                raise SchemaDrift("user_id is neither an integer, a UUID nor a string; run `twofold db verify`.")

    def stored(self, user_id: object) -> UserId:
        """The value as the column holds it. Raises UnknownUser where the column cannot hold it.

        The databases coerce what they compare ('5' is 5 to one, 'ada' is 0 to another), so another type is refused
        here.
        """
        match self.user_id_type, user_id:
            case (_, bool()):
                pass
            case (sa.BigInteger(), int()) if -(2**63) <= user_id < 2**63:
                return user_id
            case (sa.Uuid(), UUID()):
                return user_id
            case (sa.String(length=length), UUID()):
                return user_id.hex if length == 32 else str(user_id)
            case (sa.String(length=length), str()) if _is_text(user_id) and len(user_id) <= (length or 255):
                return user_id
            case _:
                pass
        raise UnknownUser


def _is_text(value: str) -> bool:
    """Whether a database can hold it: NUL ends a text, and half of a surrogate pair begins none."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value)


_SEEN: Final = sa.bindparam("seen", type_=sa.BigInteger())


def _constants(*kinds: Kind) -> list[sa.ColumnElement[str]]:
    """Words of ours that stand in the statement itself, since each value that is sent takes time."""
    return [sa.literal_column(f"'{kind}'", sa.String()) for kind in kinds]


def _binds(table: sa.Table, columns: Iterable[str], prefix: str) -> dict[str, sa.BindParameter[Any]]:
    return {name: sa.bindparam(f"{prefix}_{name}", type_=table.c[name].type) for name in columns}
