"""One table of errors: every class and every reason has its line, and the page lists them all."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

import pytest

import twofold
from tests.web.api import documented
from twofold import errors
from twofold.errors import DatabaseUnavailable, MFAError, Reason, Rejected, Stale, UnknownUser
from twofold.web import problems
from twofold.web.api.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.web.api.host import Program
    from twofold import MFA

MODULES = [
    found.name for found in pkgutil.walk_packages(twofold.__path__, "twofold.") if ".migrations" not in found.name
]


def family(error: type[MFAError]) -> list[type[MFAError]]:
    return [error, *(child for each in error.__subclasses__() for child in family(each))]


def every() -> list[type[MFAError]]:
    """Every class of errors, wherever it is defined."""
    for name in MODULES:
        importlib.import_module(name)
    return [error for error in family(MFAError) if error.__module__.startswith("twofold.")]


def test_every_error_is_a_problem_and_none_is_a_500() -> None:
    found = every()
    assert {error.__name__ for error in found} >= {"LockTimeout", "Taken", "Unreadable", "Refused", "WrongKey"}
    for error in found:
        assert problems.of_class(error).status in {400, 401, 409, 503}, error
    listed = [error for name in vars(errors) if isinstance(error := getattr(errors, name), type)]
    for error in listed:
        if issubclass(error, MFAError) and MFAError in error.__bases__:
            assert error in problems.ERRORS, error


def test_every_reason_is_a_problem() -> None:
    assert set(problems.REASONS) == set(Reason)
    guesses = {Reason.WRONG_CODE, Reason.CODE_ALREADY_USED, Reason.CLOCK_WENT_BACK}
    assert len({problems.REASONS[reason] for reason in guesses}) == 1


def test_a_type_names_one_problem() -> None:
    kinds = {*problems.REASONS.values(), *problems.ERRORS.values(), problems.UNKNOWN, *problems.REQUESTS}
    assert len({kind.reason for kind in kinds}) == len(kinds)
    assert len({kind.type for kind in kinds}) == len(kinds)


def test_the_page_and_the_file_are_made_from_the_tables() -> None:
    assert documented.PAGE.read_text(encoding="utf-8") == documented.page(), "run: python -m tests.web.api.documented"
    assert documented.FILE.read_text(encoding="utf-8") == documented.description(), "run the same"


RAISED: list[Callable[[], MFAError]] = [
    *(error for error in problems.ERRORS if error is not Rejected),
    *((lambda reason=reason: Rejected(reason)) for reason in Reason),
    lambda: DatabaseUnavailable(is_unknown=True),
]


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("make", RAISED)
def test_whatever_the_library_raises_is_answered_as_the_description_says(
    open_program: Callable[..., Program], mfa: MFA, make: Callable[[], MFAError], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = make()
    program = open_program(is_app=True)
    program.sign_in()
    program.enroll()

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(mfa.backup_codes, "shown", fail)
    answer = program.ask("GET", "/backup-codes")
    kind = problems.of(error)
    assert (answer.status_code, answer.json()["reason"], answer.json()["title"]) == (
        kind.status,
        kind.reason,
        kind.title,
    )
    assert "Traceback" not in answer.text
    assert ("retry-after" in answer.headers) == (kind.status == 503)
    if problems.of(error).status in {401, 503} and not isinstance(error, Stale):
        (operation,) = (one for one in OPERATIONS if one.name == "backup_codes")
        assert kind in operation.problems
    if isinstance(error, UnknownUser):
        assert program.status()["state"] == "signed_in"
