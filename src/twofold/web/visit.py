"""What a page knows of a request, free of any framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twofold.confidential import Confidential
from twofold.web.languages import ENGLISH, Language

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twofold.outcomes import UserId
    from twofold.request import Request


@dataclass(frozen=True, slots=True)
class Waiting(Confidential):
    """The password was right and the second factor is still to come. Opens the challenge page and nothing else.

    `session_id` is secret, and stable for as long as the session lives: the pages' forms are bound to it.
    """

    session_id: str = field(repr=False)
    challenge: str = field(repr=False)
    account_name: str


@dataclass(frozen=True, slots=True)
class SignedIn(Confidential):
    """Somebody who is signed in. `proof` is the token of the last `Verified`, None after a login by password alone.

    `session_id` is secret, and stable for as long as the session lives: the pages' forms are bound to it.
    """

    session_id: str = field(repr=False)
    user_id: UserId
    account_name: str
    proof: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Visit(Confidential):
    """One request: the session as the host knows it, and what the browser sent. Header names are in lower case.

    `base` is the path under which the pages are mounted. `cookies` are those that no other host can have set, by their
    names without `__Host-`. `language` is what the answer is written in. `body` holds at most one byte
    more than `forms.LIMIT`; the gate reads the `form` out of it.
    """

    session: Waiting | SignedIn | None
    base: str
    headers: Mapping[str, str] = field(repr=False)
    origin: Request
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    path_values: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    language: Language = ENGLISH
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
