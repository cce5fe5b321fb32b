"""Processes of their own, each with a pipe to the test that started it.

They are forked from a server that has imported the library and opened nothing, so that one costs a few milliseconds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_CONTEXT: Final = multiprocessing.get_context("forkserver")
# The server knows installed packages alone; what the tests themselves are made of, each process imports.
_CONTEXT.set_forkserver_preload(
    [
        "asyncmy",
        "aiosqlite",
        "alembic.autogenerate",
        "alembic.config",
        "psycopg",
        "pyotp",
        "pymysql",
        "pytest",
        "twofold.cli.db",
        "twofold.database",
        "twofold.mfa",
        "sqlalchemy.dialects.mysql.asyncmy",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite.aiosqlite",
        "sqlalchemy.ext.asyncio",
    ]
)
PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Child:
    """A running process and the test's end of its pipe."""

    process: BaseProcess
    pipe: Connection

    def hear(self) -> Any:
        """The next thing that it says. Raises EOFError where it ended without a word."""
        assert self.pipe.poll(PATIENCE), "the process says nothing"
        return self.pipe.recv()

    def end(self) -> int | None:
        """Wait for its end; the exit code, negative for a signal."""
        self.process.join(PATIENCE)
        return self.process.exitcode


@contextlib.contextmanager
def started(target: Callable[..., None], *arguments: Any) -> Iterator[Child]:
    """Run `target(pipe, *arguments)` in a process, which does not outlive the block."""
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=target, args=(theirs, *arguments), daemon=True)
    with ours:
        process.start()
        theirs.close()
        try:
            yield Child(process, ours)
        finally:
            process.kill()
            process.join()
