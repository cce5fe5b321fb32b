"""The walk itself: every route in every session, and everything that the host gives out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twofold.testing.doors import client
from twofold.testing.doors.door import SESSIONS, Answer, Asking, Door
from twofold.testing.doors.reading import routes_of
from twofold.testing.doors.ways import Trying, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from twofold.testing.doors.route import Route

    _Sent = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]

_FAR: Final = {"nobody", "waiting"}
"""Those who have not got as far as a session."""


@dataclass(frozen=True)
class Doors:
    """What opens to whom. Printed, it is a table; `check` says what is wrong with it."""

    doors: dict[str, Door]
    ways: dict[str, Way]
    untried: tuple[str, ...]

    def of(self, name: str) -> Door:
        """Find one by its method and path, as they stand in the table. Raises KeyError."""
        return self.doors[name]

    @property
    def go_round(self) -> set[str]:
        """What the host gives out that goes round the second factor."""
        return {way.name for way in self.ways.values() if way.goes_round}

    def check(
        self,
        *,
        public: Collection[str] = (),
        waiting: Collection[str] = (),
        fresh: Collection[str] = (),
        left_out: Collection[str] = (),
    ) -> None:
        """Hold the table to what the host means: raise AssertionError with everything that is otherwise.

        `public` opens to everybody, `waiting` to whoever has given the password, `fresh` to nobody without a proof of
        the last minutes; every other route to sessions alone. What cannot be judged has to be in `left_out`: a socket,
        an application inside, and a route that opened to no session, for want of a form's token for example. In a
        name `*` stands for anything.
        """
        meant = _Meant(public, waiting, fresh, left_out)
        wrong = [line for door in self.doors.values() for line in meant.wrong(door)]
        wrong += [f"{name}: cannot be tried; look at it, and leave it out" for name in meant.unnamed(self.untried)]
        wrong += [
            f"{way.name}: goes round the second factor: {way.opened[0]}" for way in self.ways.values() if way.opened
        ]
        wrong += [f"{name}: there is no such route" for name in meant.missing((*self.doors, *self.untried))]
        if wrong:
            raise AssertionError("\n".join((*wrong, "", str(self))))

    def __str__(self) -> str:
        sessions = [name for name in SESSIONS if any(name in door.answers for door in self.doors.values())]
        rows = [("", *sessions)]
        rows += [(name, *(str(door.answers[one]) for one in sessions)) for name, door in self.doors.items()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += [f"{name}  not tried" for name in self.untried]
        for way in self.ways.values():
            told = f"GOES ROUND: {'; '.join(way.opened)}" if way.goes_round else "opens nothing"
            lines.append(f"{way.name}  gives out what {told}" if not way.goes_round else f"{way.name}  {told}")
        return "\n".join(lines)


def walk(
    app: Any,
    *,
    nobody: Callable[[], Any],
    fresh: Callable[[], Any],
    waiting: Callable[[], Any] | None = None,
    trusted: Callable[[], Any] | None = None,
    stale: Callable[[], Any] | None = None,
    asks: Collection[str] = (),
    examples: Mapping[str, Any] | None = None,
    sends: Mapping[str, _Sent] | None = None,
    gives_out: Mapping[str, Callable[[Any], Any]] | None = None,
) -> Doors:
    """Try every route of an application (FastAPI, Starlette, Flask) in each session, and what the host gives out.

    The sessions are functions that return a client (like httpx's, or Flask's) of a user who has enrolled: `nobody` with
    nothing, `waiting` after the password, `trusted` after the password with a trusted device, `stale` with a proof of
    long ago, `fresh` with one of now. Each is called for every route, since a route may end a session or a user.

    `asks` are the addresses where somebody is asked to sign in or to give a code; a redirect there, or their page in
    place of another, is a shut door. One may end with `*`. `examples` gives path parameters by name. `sends` is what
    goes with a request to a route, by its name, as the client takes it (`{"json": …}`), or a function of the client
    that returns it; `*` in a name stands for anything, as in `POST *` for the token of every form. Unsafe methods are
    sent with nothing else; what is answered then (400, 415, 422) was reached.

    `gives_out` holds, by a name, functions of a client that get something with right credentials and without a second
    factor: a login, a token, a reset of the password, the answer of a provider. They return the response, or several.
    The cookies and tokens in it are tried on every GET that opens to neither `nobody` nor `waiting`,
    and opens to `fresh` or refuses `nobody`: what wants a token of its own opens to no session.
    """
    made = {"nobody": nobody, "waiting": waiting, "trusted": trusted, "stale": stale, "fresh": fresh}
    sessions = {name: make for name, make in made.items() if make is not None}
    routes = routes_of(app)
    asking = Asking(asks, nobody())
    addresses = {route.name: route.address(examples or {}) for route in routes.found}
    doors: dict[str, Door] = {}
    for route in routes.found:
        what = _sent_to(route.name, sends or {})
        given = {name: _tried(asking, route, addresses[route.name], make(), what) for name, make in sessions.items()}
        doors[route.name] = Door(route.name, given)
    if not gives_out:
        return Doors(doors, {}, routes.untried)
    wanted = [
        (route, addresses[route.name])
        for route in routes.found
        if route.method == "GET" and route.path not in asking and _tells(doors[route.name])
    ]
    if not wanted:
        # Nothing tells what is given out from nothing.
        return Doors(doors, {}, (*routes.untried, *gives_out))
    trying = Trying(wanted, asking, nobody)
    return Doors(doors, {name: trying.way(name, function) for name, function in gives_out.items()}, routes.untried)


def _sent_to(name: str, sends: Mapping[str, _Sent]) -> _Sent:
    """What goes along: what is said of this route, else of all that begin so."""
    return sends.get(name) or next((what for one, what in sends.items() if _is_named(name, (one,))), {})


def _tells(door: Door) -> bool:
    """Whether what opens the door must have been a session, or a token of a kind that no session is."""
    return not door.opens_to & _FAR and ("fresh" in door.opens_to or door.answers["nobody"].refuses)


def _tried(
    asking: Asking,
    route: Route,
    address: str,
    visitor: Any,
    what: _Sent,
) -> Answer:
    sent = what(visitor) if callable(what) else what
    try:
        response = client.send(visitor, route.method, address, **sent)
    except Exception as error:  # noqa: BLE001 -- Clients of tests raise what the application raises.
        return Answer(500, failed=type(error).__name__)
    return asking.answer(route, response)


@dataclass(frozen=True)
class _Meant:
    """What the host means to open to whom."""

    public: Collection[str]
    waiting: Collection[str]
    fresh: Collection[str]
    left_out: Collection[str]

    def wrong(self, door: Door) -> Iterator[str]:
        """Say what is otherwise with one door."""
        if _is_named(door.name, self.left_out):
            return
        if door.is_unknown:
            yield f"{door.name}: nothing was learnt; give it what it needs (sends=, examples=), or leave it out"
        if more := [session for session in SESSIONS if session in door.opens_to - self._allowed(door.name)]:
            yield f"{door.name}: opens to {', '.join(more)}"

    def _allowed(self, name: str) -> set[str]:
        if _is_named(name, self.fresh):
            return {"fresh"}
        if _is_named(name, self.waiting):
            return set(SESSIONS) - {"nobody"}
        return set(SESSIONS) if _is_named(name, self.public) else set(SESSIONS) - _FAR

    def unnamed(self, untried: Collection[str]) -> list[str]:
        """What cannot be tried and was not looked at."""
        return [name for name in untried if not _is_named(name, self.left_out)]

    def missing(self, there: Collection[str]) -> list[str]:
        """What is meant for routes that are not there."""
        named = (*self.public, *self.waiting, *self.fresh, *self.left_out)
        return [one for one in dict.fromkeys(named) if not any(_is_named(name, (one,)) for name in there)]


def _is_named(name: str, names: Collection[str]) -> bool:
    return any(re.fullmatch(".*".join(map(re.escape, one.split("*"))), name) for one in names)
