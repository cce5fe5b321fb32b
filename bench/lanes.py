"""The paths that are measured: each does a number of operations, whose preparation is not counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.clients import Measured
    from bench.people import Clock, People


class Runs(Protocol):
    """Whoever does jobs: threads, tasks, or connections over HTTP."""

    def run(self, jobs: Sequence[Any]) -> Measured:
        """Do all jobs; raise where one is answered otherwise than it should be."""
        ...


class Lane(Protocol):
    """One path."""

    def run(self, operations: int) -> Measured:
        """Go it so often."""
        ...


class Verifying:
    """Right or wrong codes, each with a challenge and a time step of its own."""

    def __init__(self, clients: Runs, people: People, clock: Clock, *, is_right: bool) -> None:
        self._clients, self._people, self._clock, self._is_right = clients, people, clock, is_right

    def run(self, operations: int) -> Measured:
        """Answer so many challenges."""
        challenged = self._people.challenged(operations)
        now = self._clock.now
        answers = [person.answer(token, now, is_right=self._is_right) for person, token in challenged]
        measured = self._clients.run(answers)
        # What the wrong codes have counted is set back by a right one, in the next measurement of right codes.
        self._clock.forward()
        return measured


class Recognizing:
    """Logins of trusted browsers, whose cookie is changed by each."""

    def __init__(self, clients: Runs, people: People, clock: Clock) -> None:
        self._clients, self._people, self._clock = clients, people, clock

    def run(self, operations: int) -> Measured:
        """Begin so many logins."""
        measured = self._clients.run(self._people.browsers(operations))
        self._clock.forward()
        return measured
