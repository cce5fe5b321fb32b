"""Every fault of the table in docs/cli.md, planted in an installation that is well."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.cli.faults import FAULTS
from tests.cli.faults.fault import POOLED, Fault, Sick

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Shell
    from tests.databases import Database
    from tests.people import Clock, Enrolment
    from twofold import MFA


@pytest.fixture
def sick(
    twofold: Shell, migrated: Database, folder: Path, mfa: MFA, enrolled: Enrolment, ada: int, clock: Clock
) -> Iterator[Sick]:
    with contextlib.ExitStack() as cure:
        yield Sick(twofold, migrated, folder, mfa, enrolled, ada, clock, cure)


def on(backend: str) -> pytest.MarkDecorator:
    """Those faults that can be planted there."""
    return pytest.mark.parametrize(
        "fault", [one for one in FAULTS if backend in one.backends], ids=lambda one: one.name
    )


def find(sick: Sick, fault: Fault) -> None:
    fault.plant(sick)
    answer = sick.shell("doctor", "--json", *sick.options)
    written = {"planted": sick.folder / "planted", "user": sick.ada}
    said, next_step = fault.said.format(**written), fault.next_step.format(**written)
    assert [
        check
        for check in answer.data["checks"]
        if (check["about"], check["state"]) == (fault.about, fault.state)
        and said in check["message"]
        and next_step in (check["next_step"] or "")
    ], answer.out
    is_wrong = any(check["state"] == "wrong" for check in answer.data["checks"])
    assert fault.state == "note" or is_wrong
    assert (answer.code, answer.data["is_well"]) == (int(is_wrong), not is_wrong)


@on("sqlite")
@pytest.mark.backends("sqlite")
def test_a_fault_is_found_on_sqlite(sick: Sick, fault: Fault) -> None:
    find(sick, fault)


@on("postgresql")
@pytest.mark.backends("postgresql")
def test_a_fault_is_found_on_postgresql(sick: Sick, fault: Fault) -> None:
    find(sick, fault)


@on("mariadb")
@pytest.mark.backends("mariadb")
def test_a_fault_is_found_on_mariadb(sick: Sick, fault: Fault) -> None:
    find(sick, fault)


@on(*POOLED)
@pytest.mark.backends("postgresql")
@pytest.mark.usefixtures("pooler")
def test_a_fault_is_found_behind_a_pooler(sick: Sick, fault: Fault) -> None:
    find(sick, fault)


def test_notes_alone_are_no_error_and_each_state_is_planted() -> None:
    assert {fault.state for fault in FAULTS} == {"note", "wrong"}
    assert len(FAULTS) == len({fault.name for fault in FAULTS}) >= 30
