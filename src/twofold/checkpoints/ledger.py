"""The file that checkpoints are kept in: JSON Lines, each a proof of all before it, and only ever appended to.

A run that was killed leaves heads that no checkpoint closes. They prove nothing, so the next run takes them away and
begins anew; nothing that was signed is ever taken away.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twofold.checkpoints.checkpoint import Checkpoint, Entry, Heads, Statement, digest, read, write
from twofold.errors import ConfigurationError, Tampered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from twofold.checkpoints.signing import PrivateKey, PublicKey
    from twofold.outcomes import UserId
    from twofold.tokens import Tombstone

# A thousand ids of 255 characters, each of them escaped, and their MACs.
_LONGEST_LINE = 1 << 22


class Altered(Tampered):
    """A checkpoint file is not what was written."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a whole file proves: its checkpoints and tombstones, in their order.

    `size` bytes are closed by a signature, the last line of them has the hash `last`, and `unfinished` lines stand
    behind them.
    """

    checkpoints: tuple[Checkpoint, ...]
    tombstones: tuple[Tombstone, ...]
    size: int
    last: str | None
    unfinished: int

    def erased_since(self, checkpoint: Checkpoint) -> dict[UserId, list[Tombstone]]:
        """The tombstones of users whom this checkpoint saw alive."""
        found: dict[UserId, list[Tombstone]] = {}
        for tombstone in self.tombstones:
            if tombstone.at >= checkpoint.begun_at:
                found.setdefault(tombstone.user_id, []).append(tombstone)
        return found


def survey(stream: BinaryIO, key: PublicKey) -> Contents:
    """Follow a file from its first line to its last. Raises Altered, with the first line that does not fit."""
    checkpoints: list[Checkpoint] = []
    tombstones: list[Tombstone] = []
    users, size, closed, last, unfinished = 0, 0, 0, None, 0
    for number, line, entry in _lines(stream, key):
        size += len(line)
        if isinstance(entry, Heads):
            unfinished += 1
            users += len(entry.heads)
            continue
        if isinstance(entry, Checkpoint):
            if entry.users != users:
                raise Altered(f"Line {number} does not speak of the heads above it.")
            checkpoints.append(entry)
            users = 0
        elif unfinished:
            raise Altered(f"Line {number} stands between heads and their checkpoint.")
        else:
            tombstones.append(entry)
        closed, last, unfinished = size, digest(line), 0
    torn = stream.tell() > size
    return Contents(tuple(checkpoints), tuple(tombstones), closed, last, unfinished + torn)


def heads(stream: BinaryIO, key: PublicKey, contents: Contents) -> Iterator[tuple[Checkpoint, Heads]]:
    """The heads of a file that was surveyed, each line with the checkpoint that closes it."""
    waiting = iter(contents.checkpoints)
    checkpoint = next(waiting, None)
    size = 0
    for _, line, entry in _lines(stream, key):
        size += len(line)
        if checkpoint is None or size > contents.size:
            return
        if isinstance(entry, Heads):
            yield checkpoint, entry
        elif isinstance(entry, Checkpoint):
            checkpoint = next(waiting, None)


def _lines(stream: BinaryIO, key: PublicKey) -> Iterator[tuple[int, bytes, Entry]]:
    """Every whole line with its number; a last one that was never finished is left out."""
    previous: str | None = None
    stream.seek(0)
    number = 0
    while (line := stream.readline(_LONGEST_LINE)).endswith(b"\n"):
        number += 1
        try:
            entry = read(line, previous, key)
        except ValueError as error:
            raise Altered(f"Line {number} {error}.") from None
        yield number, line, entry
        previous = digest(line)
    if len(line) == _LONGEST_LINE:
        raise Altered(f"Line {number + 1} is no line of a checkpoint file.")


@dataclass(slots=True)
class Ledger:
    """A file that is open for appending, by this process alone."""

    contents: Contents
    _path: Path
    _descriptor: int
    _key: PrivateKey
    _last: str | None

    def append(self, entry: Entry) -> str:
        """Write a line, a checkpoint or tombstone onto the disk; returns its hash. Raises ConfigurationError."""
        line = write(entry, self._last, self._key)
        self._last = hash_ = digest(line)
        with _os_errors_named(self._path, "written"):
            while line:
                line = line[os.write(self._descriptor, line) :]
            if isinstance(entry, Statement):
                os.fsync(self._descriptor)
        return hash_


@contextmanager
def opened(path: Path, key: PrivateKey) -> Iterator[Ledger]:
    """Open a file to append to it, and make it where there is none, for its owner's eyes.

    What a killed run left is taken away. Raises Altered where the file is not what was written, ConfigurationError
    where it cannot be written or somebody else is writing.
    """
    import fcntl  # Not every system has it, and reading goes without.

    with _os_errors_named(path, "written"):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"Another run is writing to {path}; wait for its end.") from None
        with reading(path) as stream:
            contents = survey(stream, key.public)
        if contents.unfinished:
            with _os_errors_named(path, "written"):
                os.ftruncate(descriptor, contents.size)
        yield Ledger(contents, path, descriptor, key, contents.last)
    finally:
        os.close(descriptor)


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read it, more than once. Raises ConfigurationError where that cannot be."""
    with _os_errors_named(path, "read"):
        stream = path.open("rb")
    with stream:
        if not stream.seekable():
            raise ConfigurationError(f"{path} cannot be read twice; give a file.")
        yield stream


@contextmanager
def _os_errors_named(path: Path, how: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be {how} ({error.strerror}).") from None
