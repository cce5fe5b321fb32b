"""What a page knows of a request, free of any framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twofold.confidential import Confidential
from twofold.origin import Origin
from twofold.web.languages import ENGLISH, Language
from twofold.web.outside import Outside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twofold.outcomes import UserId
    from twofold.request import Request


@dataclass(frozen=True, slots=True)
class User(Confidential):
    """Whom the host has signed in: the value that `users.id` holds, and the name that the person signs in by.

    `mark` is what the host's token holds of Twofold, where the host gives out tokens: what `issue` was given for it.
    """

    id: UserId
    name: str
    mark: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Waiting(Confidential):
    """The password was right and the second factor is still to come. Opens the challenge page and nothing else.

    `session_id` is secret, and stable for as long as the session lives: the pages' forms are bound to it. `onward` are
    absolute addresses on other origins to which the host may lead on from the page's form; browsers hold redirects
    after a form against the page's policy. `keeps_opener` is for a login in a popup whose opener is of another origin
    and waits for its word. `is_answered` says that a session followed this one a moment ago: its answer may be lost, so
    the same code logs in once more, and nothing else does. `is_bearer` is for a session that no browser sends by
    itself, but an app, in the header `Authorization`: no token against forged requests is asked for, and what a cookie
    would hold is given to the app.
    """

    session_id: str = field(repr=False)
    challenge: str = field(repr=False)
    account_name: str
    onward: tuple[str, ...] = ()
    keeps_opener: bool = False
    is_answered: bool = False
    is_bearer: bool = False

    def __post_init__(self) -> None:
        origins_of(self.onward)


@dataclass(frozen=True, slots=True)
class SignedIn(Confidential):
    """Somebody who is signed in. `proof` is the token of the last `Verified`, None after a login by password alone.

    `session_id` is secret, and stable for as long as the session lives: the pages' forms are bound to it. `onward` and
    `keeps_opener` mean what they mean in `Waiting`, here for what follows a step-up; so does `is_bearer`. `back` is the
    path of this site to which a step-up leads that was asked for with `?next=asked`.
    """

    session_id: str = field(repr=False)
    user_id: UserId
    account_name: str
    proof: str | None = field(default=None, repr=False)
    onward: tuple[str, ...] = ()
    keeps_opener: bool = False
    is_bearer: bool = False
    back: str | None = None

    def __post_init__(self) -> None:
        origins_of(self.onward)


def origins_of(onward: tuple[str, ...]) -> list[str]:
    """The origins of addresses, as they stand in a policy. Raises ValueError for what is no address of http or https.

    Of an address only the origin counts, so a host may give the whole address to which it will lead.
    """
    if isinstance(onward, str):
        raise TypeError("onward is a tuple of addresses, as in onward=('https://client.example',)")
    found = [Origin.of(address) for address in onward]
    if None in found:
        raise ValueError("onward holds absolute addresses of http or https, as https://client.example/callback")
    return list(dict.fromkeys(str(origin) for origin in found))


Session = Waiting | SignedIn | None
"""Whose request it is: somebody half-way in, somebody who is in, or nobody who is known."""


@dataclass(frozen=True, slots=True)
class Visit(Confidential):
    """One request: the session as the host knows it, and what the browser sent. Header names are in lower case.

    `base` is the path under which the pages are mounted, and `outside` is how the browser reaches it. `cookies` are
    those that no other host can have set, by their names without `__Host-`. `language` is what the answer is written
    in. `body` holds at most one byte more than `forms.LIMIT`; the gate reads the `form` out of it.
    """

    session: Session
    base: str
    headers: Mapping[str, str] = field(repr=False)
    origin: Request
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    path_values: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    language: Language = ENGLISH
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    outside: Outside = field(default=Outside("https", {}), repr=False)
