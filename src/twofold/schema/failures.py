"""Errors of a migration as sentences, for the `alembic` command and for Twofold's own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from alembic.util import CommandError
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from twofold import pooler
from twofold.errors import ConfigurationError, DatabaseUnavailable, MFAError, SchemaDrift

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def as_mfa_errors() -> Iterator[None]:
    """Raise MFAError for whatever a migration raises, without a statement, a parameter or a password in it."""
    try:
        yield
    except CommandError as error:
        if isinstance(error.__cause__, MFAError):
            raise error.__cause__ from None
        raise ConfigurationError(str(error)) from error
    except ValidationError as error:
        names = ", ".join(sorted({f"TWOFOLD_{str(one['loc'][0]).upper()}" for one in error.errors() if one["loc"]}))
        raise ConfigurationError(f"{names or 'A setting'} is not valid; `twofold doctor` says why.") from None
    except DBAPIError as error:
        if (known := pooler.sentence(error.orig)) is not None:
            raise DatabaseUnavailable(f"{known}.") from error
        if not isinstance(error, OperationalError):
            raise DatabaseUnavailable(f"The database refused: {_first_line(error)}") from error
        raise DatabaseUnavailable(f"The database does not answer as needed: {_first_line(error)}") from error
    except SQLAlchemyError as error:
        raise DatabaseUnavailable(f"The database could not be used: {type(error).__name__}.") from error


@contextmanager
def refusal_as_command_error() -> Iterator[None]:
    """Raise CommandError for Twofold's own errors; `alembic` prints it as one line and ends with a failing exit code.

    What the database raises passes, for whoever tries again when a table is busy.
    """
    try:
        yield
    except SchemaDrift as error:
        raise CommandError("\n  - ".join([str(error), *error.differences])) from error
    except MFAError as error:
        raise CommandError(str(error)) from error


@contextmanager
def as_command_error() -> Iterator[None]:
    """Raise CommandError for whatever a migration raises."""
    with refusal_as_command_error(), as_mfa_errors():
        yield


def _first_line(error: DBAPIError) -> str:
    """What the database itself known. MariaDB's driver puts a number before it."""
    if error.orig is None or not error.orig.args:
        return type(error).__name__
    return str(error.orig.args[-1]).strip().partition("\n")[0]
