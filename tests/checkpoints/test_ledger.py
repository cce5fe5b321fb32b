"""The file of checkpoints: what it says is proven from its first line to its last, and it is only appended to."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from twofold.checkpoints.checkpoint import Checkpoint, Entry, Head, Heads, digest, read, write
from twofold.checkpoints.ledger import Altered, Contents, heads, opened, reading, survey
from twofold.checkpoints.signing import PrivateKey, PublicKey, generate_key
from twofold.errors import ConfigurationError
from twofold.tokens import Tombstone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOON = datetime(2026, 11, 22, 12, 0, 5, 123456, tzinfo=UTC)
KEY, OTHER = PrivateKey.parse(generate_key()), PrivateKey.parse(generate_key())
GRACE = Head("grace@example.com", 3, "v1:k1:03")
ADA = Head(UUID(int=7), 2, "v1:k1:02")
HEADS = [Heads((Head(1, 0, None), ADA)), Heads((GRACE,))]
TOMBSTONE = Tombstone(GRACE.user_id, 4, "v1:k1:04", is_intact=True, at=NOON + timedelta(hours=1))


def closing(lines: list[Heads], at: datetime = NOON) -> Checkpoint:
    return Checkpoint(at, at + timedelta(minutes=1), sum(len(line.heads) for line in lines))


ENTRIES: list[Entry] = [
    *HEADS,
    closing(HEADS),
    TOMBSTONE,
    HEADS[0],
    closing(HEADS[:1], NOON + timedelta(days=1)),
    closing([], NOON + timedelta(days=2)),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three checkpoints, a tombstone between the first two; the last one saw nobody."""
    path = tmp_path / "checkpoints.jsonl"
    for entries in (ENTRIES[:3], ENTRIES[3:4], ENTRIES[4:]):
        with opened(path, KEY) as ledger:
            for entry in entries:
                ledger.append(entry)
    return path


def contents(path: Path, key: PublicKey = KEY.public) -> Contents:
    with reading(path) as stream:
        return survey(stream, key)


def test_what_was_appended_is_read(file: Path) -> None:
    found = contents(file)
    assert found.checkpoints == tuple(entry for entry in ENTRIES if isinstance(entry, Checkpoint))
    assert (found.tombstones, found.unfinished, found.size) == ((TOMBSTONE,), 0, file.stat().st_size)
    with reading(file) as stream:
        read_heads = list(heads(stream, KEY.public, found))
    first, second, _ = found.checkpoints
    assert read_heads == [(first, HEADS[0]), (first, HEADS[1]), (second, HEADS[0])]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_tombstone_is_for_checkpoints_that_began_before_it(file: Path) -> None:
    found = contents(file)
    erased = [found.erased_since(checkpoint) for checkpoint in found.checkpoints]
    assert erased == [{GRACE.user_id: [TOMBSTONE]}, {}, {}]


def _replaced(old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    def edit(lines: list[bytes]) -> list[bytes]:
        assert any(old in line for line in lines)
        return [line.replace(old, new) for line in lines]

    return edit


def _resigned(lines: list[bytes]) -> list[bytes]:
    """The last line of the first checkpoint again, by somebody with a key of their own."""
    return [*lines[:2], write(ENTRIES[2], digest(lines[1]), OTHER), *lines[3:]]


def _rebuilt(lines: list[bytes]) -> list[bytes]:
    """Fewer heads, chained again as anybody can, under the checkpoint that was signed."""
    first = write(HEADS[0], None, KEY)
    return [first, lines[2].replace(digest(lines[1]).encode(), digest(first).encode()), *lines[3:]]


def _without(*numbers: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: [line for number, line in enumerate(lines, start=1) if number not in numbers]


EDITS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int]] = {
    "a count is lowered": (_replaced(b",2,", b",1,"), 2),
    "a head is changed": (_replaced(b"v1:k1:03", b"v1:k1:ff"), 3),
    "a moment is changed": (_replaced(b"2026-11-22T12:01:05", b"2026-11-23T12:01:05"), 3),
    "a number of users is changed": (_replaced(b'"users":3', b'"users":2'), 3),
    "a tombstone is changed": (_replaced(b'"count":4', b'"count":9'), 4),
    "heads are dropped": (_without(1), 1),
    "the second line is dropped": (_without(2), 2),
    "a checkpoint is dropped": (_without(3), 3),
    "a tombstone is dropped": (_without(4), 4),
    "a whole checkpoint in the middle is dropped": (_without(5, 6), 5),
    "the beginning is dropped": (_without(1, 2, 3), 1),
    "two lines change places": (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
    "a line is repeated": (lambda lines: [*lines[:3], lines[2], *lines[3:]], 4),
    "a line is put in": (lambda lines: [lines[0], b"{}\n", *lines[1:]], 2),
    "a signature is dropped": (_replaced(b'"signature"', b'"-"'), 3),
    "another key has signed": (_resigned, 3),
    "heads are left out and the rest is chained again": (_rebuilt, 2),
    "a line is no JSON": (_replaced(b'{"type":"tombstone"', b'["type":"tombstone"'), 4),
    "a line is no text": (lambda lines: [b"\xff\xfe\n", *lines], 1),
    "a line is deep": (lambda lines: [b"[" * 100_000 + b"\n", *lines], 1),
    "an id is half a character": (_replaced(b'"grace@', b'"\\ud800@'), 2),
    "a moment is before all time": (_replaced(b"2026-11-22T13:00:05.123456+00:00", b"0001-01-01T00:00:00+14:00"), 4),
}


@pytest.mark.requirement("R103")
@pytest.mark.parametrize("what", EDITS)
def test_the_first_line_that_was_changed_is_named(file: Path, what: str) -> None:
    edit, number = EDITS[what]
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(edit(lines)))
    with pytest.raises(Altered, match=rf"^Line {number} "):
        contents(file)
    before = file.read_bytes()
    with pytest.raises(Altered), opened(file, KEY):
        pass
    assert file.read_bytes() == before


@pytest.mark.requirement("R103")
def test_another_key_proves_nothing(file: Path) -> None:
    with pytest.raises(Altered, match="Line 3 is signed by another key"):
        contents(file, OTHER.public)
    with pytest.raises(Altered, match="Line 3 is signed by another key"), opened(file, OTHER):
        pass


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    with endless.open("wb") as stream:
        stream.truncate(1 << 33)
    with pytest.raises(Altered, match="Line 1 "):
        contents(endless)


@pytest.mark.parametrize("left", [b"", b'{"type":"heads","hea', b"{", b"\xff"])
def test_what_a_killed_run_left_is_taken_away_and_nothing_else(file: Path, left: bytes) -> None:
    signed = file.read_bytes()
    with opened(file, KEY) as ledger:
        ledger.append(HEADS[0])
        ledger.append(HEADS[1])
    file.write_bytes(file.read_bytes() + left)
    found = contents(file)
    assert (found.unfinished, found.size, len(found.checkpoints)) == (2 + bool(left), len(signed), 3)
    with reading(file) as stream:
        assert len(list(heads(stream, KEY.public, found))) == 3
    with opened(file, KEY):
        assert file.read_bytes() == signed
    assert contents(file).unfinished == 0


def test_two_do_not_write_at_once(file: Path) -> None:
    with opened(file, KEY), pytest.raises(ConfigurationError, match="Another run"), opened(file, KEY):
        pass


def test_a_tombstone_between_heads_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "file", KEY) as ledger:
        ledger.append(HEADS[0])
        ledger.append(TOMBSTONE)
    with pytest.raises(Altered, match="Line 2 stands between"):
        contents(tmp_path / "file")


def test_a_checkpoint_of_more_heads_than_stand_above_it_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "file", KEY) as ledger:
        ledger.append(HEADS[0])
        ledger.append(closing(HEADS))
    with pytest.raises(Altered, match="Line 2 does not speak of the heads"):
        contents(tmp_path / "file")


def test_a_key_is_one_line_and_says_which_half_it_is() -> None:
    text = generate_key()
    private = PrivateKey.parse(f" {text}\n")
    public = PublicKey.parse(str(private.public))
    assert public.kid == private.public.kid
    assert public.has_signed(b"message", private.sign(b"message"))
    assert not public.has_signed(b"massage", private.sign(b"message"))
    assert text.partition(":")[2] not in repr(private)
    for wrong in (str(public), "", "ed25519-private:", "ed25519-private:AAAA", text[:-8], "sekret"):
        with pytest.raises(ConfigurationError) as refused:
            PrivateKey.parse(wrong)
        assert "AAAA" not in str(refused.value)
        assert "sekret" not in str(refused.value)
    with pytest.raises(ConfigurationError):
        PublicKey.parse(text)


def test_a_line_means_one_thing_in_one_place() -> None:
    line = write(TOMBSTONE, "00", KEY)
    assert read(line, "00", KEY.public) == TOMBSTONE
    for previous in (None, "01"):
        with pytest.raises(ValueError, match="does not follow"):
            read(line, previous, KEY.public)
