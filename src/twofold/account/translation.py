"""What the database raises, in the library's own errors: without the parameters of any statement, or our frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from twofold import pooler
from twofold.errors import DatabaseUnavailable, SchemaDrift

if TYPE_CHECKING:
    from twofold.errors import MFAError

# Undefined table and column, in the words of the three databases.
_DRIFTED = frozenset({"42P01", "42703", "1146", "1054", "no such table", "no such column"})


def error_codes(error: DBAPIError) -> set[str]:
    """What the driver calls the error: an SQLSTATE, the number of MariaDB, the first words of SQLite; and its class."""
    original = error.orig
    named = {getattr(original, "sqlstate", None), getattr(original, "pgcode", None), type(original).__name__}
    if original is not None and original.args:
        named.add(str(original.args[0]).partition(":")[0])
    return {name for name in named if name}


def is_drift(error: SQLAlchemyError | OSError) -> bool:
    """Whether a table or a column is not there."""
    return isinstance(error, DBAPIError) and bool(error_codes(error) & _DRIFTED)


def raise_translated(error: SQLAlchemyError | OSError, *, is_unknown: bool = False) -> NoReturn:
    """Raise the library's error for this one. `is_unknown` says that a COMMIT may have arrived."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if is_drift(error):
        raise SchemaDrift from cause
    raise DatabaseUnavailable(_sentence(cause, is_unknown=is_unknown), is_unknown=is_unknown) from cause


def _sentence(cause: BaseException | None, *, is_unknown: bool) -> str:
    name = type(cause).__name__
    if is_unknown:
        return f"The database stopped answering ({name}); it is not known whether the code was used."
    if (known := pooler.sentence(cause)) is not None:
        return f"{known}; nothing was spent."
    return f"The database does not answer ({name}); nothing was spent."


def without_frames(error: MFAError) -> MFAError:
    """The error without the frames of the library: their variables hold codes, tokens and opened secrets.

    What is left is the frames of the caller, and the driver's error as the cause.
    """
    error.__traceback__ = error.__context__ = None
    if error.__cause__ is not None:
        error.__cause__.__traceback__ = error.__cause__.__context__ = None
    return error
