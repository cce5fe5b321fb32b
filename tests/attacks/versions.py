"""The versions of the users' rows, each with the truth of its moment and the rows that stood beside it.

A version is known by what the row in `user_mfa_secrets` says. Whoever changes rows by SQL changes neither the truth nor
what should stand there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from tests.attacks.intruder import CODES, DEVICES, EVENTS, PASSKEYS, SECRETS
from tests.attacks.rows import NOTHING, TABLES, Row, Shot, Tables
from tests.attacks.truth import NOBODY, Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

ALARM: Final = "rows_altered"


@dataclass
class Version:
    """What was true when a row was written, and what stood then.

    `issued` are the challenges and proofs of all steps up to there; `told` are the rows that an alarm was written for;
    `has_followed` tells whether a step has gone on from there.
    """

    truth: Truth
    rows: Shot
    issued: frozenset[str] = frozenset()
    told: Mapping[str, frozenset[Row]] = field(default_factory=dict[str, frozenset[Row]])
    has_followed: bool = False


@dataclass(frozen=True)
class Write:
    """What one operation wrote of one user, and on which version it stood; None where there was none.

    Of the tables in `leaves` it put everything in order, and what `ends` a factor may go on from an altered row.
    """

    what: str
    before: Shot
    now: Shot
    base: Version | None
    leaves: Collection[str] = ()
    ends: bool = False

    def gone(self, name: str) -> frozenset[Row]:
        return self.before[name] - self.now[name]

    def fresh(self, name: str) -> frozenset[Row]:
        return self.now[name] - self.before[name]

    def has_touched(self, name: str) -> bool:
        return self.before[name] != self.now[name]


class Versions:
    """All versions that honest steps wrote."""

    def __init__(self, tables: Tables, hole: Callable[[str, str], None]) -> None:
        self._tables, self._hole = tables, hole
        self._known: dict[Row, Version] = {}
        self._lines: set[Row] = set()

    def of(self, shot: Shot) -> Version | None:
        """The version that a user's row is of; None where no honest step wrote it."""
        for row in shot[SECRETS]:
            return self._known.get(self._tables.sealed(row))
        return None if any(shot.values()) else Version(NOBODY, NOTHING)

    def altered(self, shot: Shot) -> frozenset[str]:
        """The tables whose rows are not those that belong to the user's row."""
        version, deciding = self.of(shot), self._tables.deciding
        if version is None:
            return frozenset({SECRETS})
        return frozenset(name for name in TABLES if deciding(name, shot[name]) != deciding(name, version.rows[name]))

    def is_clean(self, shot: Shot) -> bool:
        """Whether all rows stand as they stood at one moment, to the letter."""
        version = self.of(shot)
        if version is None or self.altered(shot):
            return False
        return all(shot[name] == version.rows[name] for name in TABLES if name != SECRETS)

    def untold(self, shot: Shot, base: Version | None) -> frozenset[str]:
        """The tables that were altered, and that no alarm was written for."""
        deciding, told = self._tables.deciding, base.told if base else {}
        return frozenset(
            name
            for name in self.altered(shot)
            if name not in told or deciding(name, told[name]) != deciding(name, shot[name])
        )

    def write(self, write: Write, truth: Truth) -> bool:
        """Judge what was written, and know the version that it made; whether it goes on where another step had."""
        told = self._alarms(write)
        self._judge(write)
        self._lines |= self._tables.deciding(EVENTS, write.fresh(EVENTS))
        if not write.now[SECRETS]:
            return False
        base, rows = write.base, dict(write.now)
        if base is not None and not write.ends:
            kept = (name for name in (CODES, DEVICES, EVENTS, PASSKEYS) if name not in write.leaves)
            rows |= {name: _less_by_id(base.rows[name], write.gone(name)) | write.fresh(name) for name in kept}
        self._bare(rows, write.what)
        truth = self._less(write, truth)
        is_fork = base is not None and base.has_followed
        if base is not None:
            base.has_followed = True
        (row,) = write.now[SECRETS]
        self._known[self._tables.sealed(row)] = Version(
            truth,
            rows,
            (base.issued if base else frozenset[str]()) | truth.proven | {*truth.asked},
            {name: told[name] for name in told if not write.has_touched(name)},
        )
        return is_fork

    def _judge(self, write: Write) -> None:
        if write.ends:
            return
        if write.base is None:
            self._hole("an altered row was written anew", write.what)
            return
        if write.fresh(EVENTS) and self._has_later_lines(write.before):
            self._hole("a row was written below its own later lines", write.what)
        # A line that went once and was put back since proves itself, and may go again.
        if self._tables.deciding(EVENTS, write.gone(EVENTS)) - self._lines:
            self._hole("altered lines were pruned", write.what)

    def _less(self, write: Write, truth: Truth) -> Truth:
        """The truth, less the browsers that the library ended by itself, and what it had to decide on altered rows."""
        altered, is_live = self.altered(write.before), self._tables.is_live
        if DEVICES in altered and write.has_touched(DEVICES) and truth.cookies:
            truth = replace(truth, are_cookies_sure=False)
        elif DEVICES not in altered:
            ended = {row[0] for row in write.gone(DEVICES) if is_live(DEVICES, row)}
            truth = truth.revoked(*ended - {row[0] for row in write.fresh(DEVICES) if is_live(DEVICES, row)})
        if CODES in altered and write.has_touched(CODES) and CODES not in write.leaves:
            truth = replace(truth, are_codes_sure=False)
        if PASSKEYS in altered and write.has_touched(PASSKEYS) and PASSKEYS not in write.leaves:
            truth = replace(truth, are_keys_sure=False)
        elif PASSKEYS not in altered:
            is_suspended = self._tables.columns[PASSKEYS].index("suspended_at")
            suspended = [row[0] for row in write.fresh(PASSKEYS) if row[is_suspended] is not None]
            truth = truth.suspended(*suspended)
        return truth

    def _has_later_lines(self, shot: Shot) -> bool:
        counts = [self._tables.get(SECRETS, row, "event_count") for row in shot[SECRETS]]
        numbers = [self._tables.get(EVENTS, row, "seq") for row in shot[EVENTS]]
        return bool(counts) and any(isinstance(number, int) and number > counts[0] for number in numbers)

    def _bare(self, rows: Shot, what: str) -> None:
        """Nothing that opens a door stands bare beside a sealed row."""
        for name in (CODES, DEVICES, PASSKEYS):
            if any(self._tables.is_live(name, row) and not self._tables.is_ours(name, row) for row in rows[name]):
                self._hole(f"bare rows in {name} beside a sealed one", what)

    def _alarms(self, write: Write) -> dict[str, frozenset[Row]]:
        """The alarms of now, and those of before; each must have a cause, and one of its own."""
        get, base, before = self._tables.get, write.base, write.before
        told = dict(base.told) if base else {}
        for line in write.fresh(EVENTS):
            if get(EVENTS, line, "event_type") != ALARM:
                continue
            name = json.loads(get(EVENTS, line, "event_details") or "{}").get("table", "")
            if name not in before or (base is not None and before[name] == base.rows[name]):
                self._hole("an alarm without a cause", write.what)
            if told.get(name) == before.get(name):
                self._hole("a second alarm for one altered state", write.what)
            told[name] = before.get(name, frozenset())
        return told


def _less_by_id(rows: frozenset[Row], gone: frozenset[Row]) -> frozenset[Row]:
    """Without the rows of these ids, whatever else was written into them by SQL."""
    ids = {row[0] for row in gone}
    return frozenset(row for row in rows if row[0] not in ids)
