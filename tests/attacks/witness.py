"""Somebody who hears all that is logged, sees all that is raised, and holds all that is returned."""

from __future__ import annotations

import copy
import io
import logging
import pprint
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from rich.pretty import pretty_repr

from tests.databases import ROOT
from twofold import MFAError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

R = TypeVar("R")

# What a browser of ours says in the log is nothing that Twofold said.
_CLIENTS = ("httpx2", "httpcore2")
_OURS = str(ROOT / "tests")
_PLAIN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})


class Heard(logging.Handler):
    """Every record of every logger, with its traceback and whatever else was put on it."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.said = io.StringIO()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in _CLIENTS:
            return
        more = {name: value for name, value in vars(record).items() if name not in _PLAIN}
        self.said.write(f"{record.name}: {self.format(record)} {record.args!r} {more!r}\n")


@contextmanager
def everything_heard() -> Iterator[Heard]:
    """Listen to the root logger at DEBUG, SQLAlchemy's included; leave the loggers as they were."""
    loggers = [logging.getLogger(name) for name in ("", "sqlalchemy", "sqlalchemy.engine", "alembic", "uvicorn")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    heard = Heard()
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(heard)
    try:
        yield heard
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers


@dataclass
class Witness:
    """Keeps what the library gave back and what it raised."""

    values: list[Any] = field(default_factory=list[Any])
    errors: list[BaseException] = field(default_factory=list[BaseException])

    def given(self, value: R) -> R:
        """Remember a value."""
        self.values.append(value)
        return value

    def refused(self, *operations: Callable[[], object]) -> None:
        """Run what must raise, and remember it."""
        for operation in operations:
            with pytest.raises(MFAError) as raised:
                operation()
            self.errors.append(raised.value)


def told(error: BaseException) -> str:
    """All that a log, a tracker of errors or a debugger shows of an error that has left the library.

    That includes the variables of every frame but those of the test, and all causes and contexts.
    """
    told: list[str] = []
    seen = traceback.TracebackException.from_exception(error, capture_locals=True, compact=False)
    waiting: list[traceback.TracebackException | None] = [seen]
    while waiting:
        if (one := waiting.pop()) is None:
            continue
        waiting += [one.__cause__, one.__context__]
        told += one.format_exception_only()
        told += [f"{frame.filename} {frame.locals}" for frame in one.stack if not frame.filename.startswith(_OURS)]
    each: BaseException | None = error
    while each is not None:
        told += [str(each), repr(each), repr(each.args), repr(vars(each)), repr(getattr(each, "__notes__", ()))]
        each = each.__cause__ or each.__context__
    return "\n".join(told)


def printed(value: object) -> str:
    """A value in every way in which it may get into a log by being printed, a copy of it too."""
    ways = [repr(value), str(value), f"{value!r:>9}", "%s %r" % (value, value), pprint.pformat(value)]  # noqa: UP031
    ways += [ascii(value), pretty_repr(value), repr([value]), repr(copy.copy(value)), repr(copy.deepcopy(value))]
    return "\n".join(ways)
