"""The host's own transaction, which operations may join: through its connection or its Session.

To commit is the host's. So a face joins one transaction and no later one: what is done after the COMMIT would stand in
a transaction that nobody has begun, and that nobody may end.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import InvalidRequestError, UnboundExecutionError

from twofold.account.connections import root
from twofold.address import backend_of
from twofold.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_IN_MEMORY = frozenset({None, "", ":memory:"})
_PORTS = {"postgresql": 5432, "mariadb": 3306}

_ENDED = (
    "The transaction that mfa.within() has joined is over; call within() again in the next one. Nothing was decided."
)
_MANY = (
    "This Session has no bind of its own: give within() the connection that it has to the database of the MFA tables, "
    'session.connection(bind_arguments={"bind": engine}). Nothing was decided.'
)


class Joined:
    """A connection or a Session of the host's, and the one transaction of it that is joined."""

    def __init__(self, source: sa.Connection | Session, engine: sa.Engine) -> None:
        self.engine = engine
        self._source = source
        # Where none has begun, it is the one in which the first operation runs.
        self._transaction: Any = source.get_transaction()

    @classmethod
    def blocking(cls, source: object, engine: sa.Engine) -> Self:
        """Join a `Connection`, a `Session` or a `scoped_session`. Raises TypeError for anything else."""
        if isinstance(source, sa.Connection):
            return cls(source, engine)
        from sqlalchemy.orm import Session, scoped_session

        if isinstance(source, scoped_session):
            source = source()
        if isinstance(source, Session):
            return cls(source, engine)
        raise TypeError(
            f"within() of MFA takes a Session or a Connection, not {type(source).__name__}; that of AsyncMFA takes an "
            "AsyncSession or an AsyncConnection."
        )

    @classmethod
    def awaited(cls, source: object, engine: sa.Engine) -> Self:
        """Join an `AsyncConnection`, an `AsyncSession` or an `async_scoped_session`; TypeError for anything else."""
        from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

        if isinstance(source, async_scoped_session):
            source = source()
        if isinstance(source, AsyncSession):
            return cls(source.sync_session, engine)
        if isinstance(source, AsyncConnection):
            if source.sync_connection is None:
                raise ConfigurationError("This AsyncConnection is closed, or was not opened: nothing can be joined.")
            return cls(source.sync_connection, engine)
        raise TypeError(
            f"within() of AsyncMFA takes an AsyncSession or an AsyncConnection, not {type(source).__name__}; that of "
            "MFA takes a Session or a Connection."
        )

    def connection(self, *, is_writing: bool) -> sa.Connection:
        """The connection, in the transaction that was joined; nothing is flushed.

        Whoever commits a Session only where something was written hears of what `is_writing`. Raises ConfigurationError
        where that transaction is over, where there can be none, and where it is of another database.
        """
        source = self._source
        if self._transaction is not None and source.get_transaction() is not self._transaction:
            raise ConfigurationError(_ENDED)
        try:
            connection = source if isinstance(source, sa.Connection) else source.connection()
            if not connection.in_transaction():
                connection.begin()
            self._transaction = source.get_transaction()
        except UnboundExecutionError:
            raise ConfigurationError(_MANY) from None
        except InvalidRequestError as error:
            # Closed for good, rolled back and not yet told so, or with drivers of the other face.
            raise ConfigurationError(
                f"This {type(source).__name__} has no transaction to join ({type(error).__name__}): open another one, "
                "or roll it back where it has failed. Nothing was decided."
            ) from error
        if not _is_of(connection.engine, self.engine):
            raise ConfigurationError(
                f"This transaction is of {_named(connection.engine)}, and the MFA of {_named(self.engine)}: make an "
                "MFA with the engine of the one where the transaction is. Nothing was decided."
            )
        if is_writing and not isinstance(source, sa.Connection):
            _announce(source)
        return connection


def _announce(session: Session) -> None:
    """Tell zope.sqlalchemy, as Pyramid has it, that there is something to commit.

    It rolls back a Session in which it has seen nobody flush, and says nothing of it. What we write it cannot see.
    """
    for listener in session.dispatch.after_flush:
        manager: Any = getattr(listener, "__self__", None)
        if type(manager).__module__.startswith("zope.sqlalchemy"):
            manager.mark_changed(session)


def _is_of(engine: sa.Engine, other: sa.Engine) -> bool:
    """Whether two engines are of one database. In memory, each engine has its own."""
    if root(engine) is root(other):
        return True
    return _named(engine) == _named(other) and _database(engine.url) not in _IN_MEMORY


def _named(engine: sa.Engine) -> str:
    """Which database an engine is of, whatever driver, role and options lead there."""
    url, backend = engine.url, backend_of(engine.url)
    if backend == "sqlite":
        name = url.database or ":memory:"
        return name if name.startswith(("file:", ":")) else str(Path(name).resolve())
    # SQLAlchemy gives the driver what the query says in place of what the URL's other parts say.
    said = url.query
    host = said.get("host") or said.get("unix_socket") or url.host or "localhost"
    return f"{host}:{said.get('port') or url.port or _PORTS.get(backend)}/{_database(url)}"


def _database(url: sa.URL) -> Any:
    """The database that a URL names, as an argument of the driver's or in its path."""
    return next((url.query[name] for name in ("dbname", "database", "db") if name in url.query), url.database)
