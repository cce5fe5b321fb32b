"""A login through a whole application, by its pages and by JSON, beside the same application without Twofold."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import itertools
import json
import logging
import multiprocessing
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from bench.clients import Measured, Run, Threads
from bench.population import LATER, enrol, settings
from bench.report import Row
from bench.server import Server
from examples.notebook import people
from tests.served import served
from twofold import MFA
from twofold.keyring import generate_key
from twofold.schema.commands import upgrade
from twofold.testing import Clock

CLIENTS = 4
_FRAMEWORKS = {"fastapi": "FastAPI", "starlette": "Starlette", "flask": "Flask"}
_PEOPLE = 200
_PASSWORD = "correct horse battery"  # noqa: S105 - of accounts that live as long as the bench.


def _hashed(password: str, salt: bytes) -> str:
    """Hash a password at no cost: what the host takes for it would hide what Twofold takes."""
    return f"{salt.hex()}:{hashlib.scrypt(password.encode(), salt=salt, n=2, r=8, p=1).hex()}"


def _serve(parent: Any, framework: str, url: sa.URL, keys: str, now: Any, has_twofold: bool) -> None:  # noqa: FBT001
    """Serve the notebook on one framework until the parent lets go."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    module: Any = importlib.import_module(f"examples.notebook.on_{framework}")
    people._hashed = _hashed  # noqa: SLF001
    if not has_twofold:
        module.mount = lambda *_, **__: None
    engine = sa.create_engine(url, pool_size=20)
    mfa = MFA(engine, settings(keys=keys), clock=lambda: datetime.fromtimestamp(now.value, UTC))
    with served(module.build(engine, mfa, has_tls=False)) as address, contextlib.suppress(EOFError):
        parent.send(address.removeprefix("http://"))
        while parent.recv():
            parent.send(time.process_time())


class _Program:
    """The notebook in a process of its own."""

    def __init__(self, *told: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *told))
        self._process.start()
        theirs.close()

    def address(self) -> str:
        """Wait for its address. Raises EOFError where it ended instead."""
        return str(self._pipe.recv())

    def cpu(self) -> float:
        """Return the seconds of CPU that it has used."""
        self._pipe.send("cpu")
        return float(self._pipe.recv())

    def close(self) -> None:
        self._pipe.close()
        self._process.join()


@dataclass(frozen=True, slots=True)
class _Login:
    """One person's login: a form with the password, a code where a `door` is named, and the page that it was for."""

    email: str
    code: str
    door: str | None

    def begin(self, face: str) -> bytes:
        browser = _Browser(face)
        browser.ask("POST", "/login", urlencode({"email": self.email, "password": _PASSWORD}))
        if self.door == "pages":
            form = re.search(rb'name="csrf" value="([^"]+)"', browser.ask("GET", "/mfa/challenge"))
            browser.ask("POST", "/mfa/challenge", urlencode({"csrf": form[1] if form else "", "code": self.code}))
        elif self.door == "JSON":
            token = {"X-CSRF-Token": json.loads(browser.ask("GET", "/mfa/api/status"))["csrf_token"]}
            browser.ask("POST", "/mfa/api/challenge", json.dumps({"code": self.code}), token)
        return browser.ask("GET", "/")

    def end(self, answer: bytes) -> None:
        if f"Notebook of {self.email}".encode() not in answer:
            raise AssertionError(f"a login came to another page: {answer[:200]!r}")


class _Browser:
    """One connection, and the cookies that it was given."""

    def __init__(self, address: str) -> None:
        self._connection, self._cookies = HTTPConnection(address, timeout=30), dict[str, str]()

    def ask(self, method: str, path: str, body: str = "", more: dict[str, str] | None = None) -> bytes:
        kind = "application/json" if body.startswith("{") else "application/x-www-form-urlencoded"
        sent = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Content-Type": kind}
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        self._connection.request(method, path, body, sent | (more or {}))
        answer = self._connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie", ()):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.read()


def paths(running: Server, open_: contextlib.ExitStack) -> Iterator[list[tuple[Run, Row]]]:
    """Start every application, and yield its logins: first without Twofold, then through each door."""
    running.create("notebook", migrated=False)
    url, keys, clock = running.database("notebook", "postgresql+psycopg"), generate_key("bench"), Clock()
    engine, chosen = sa.create_engine(url), settings(keys=keys)
    people._hashed = _hashed  # noqa: SLF001
    people.Base.metadata.create_all(engine)
    emails = [f"ada{number}@example.com" for number in range(_PEOPLE)]
    ids = [people.register(engine, email, _PASSWORD) for email in emails]
    upgrade(engine, chosen)
    turns = itertools.cycle(zip(emails, enrol(MFA(engine, chosen, clock=clock), clock, ids), strict=True))
    engine.dispose()
    now = multiprocessing.get_context("spawn").Value("d", 0.0)

    def run(program: _Program, faces: Threads, door: str | None, number: int) -> Measured:
        clock.forward(LATER)
        now.value = clock.now.timestamp()
        those = itertools.islice(turns, min(number, _PEOPLE))
        before = program.cpu()
        done = faces.run([_Login(email, person.app.at(clock.now), door) for email, person in those])
        return replace(done, cpu=program.cpu() - before)

    started = {
        name: [open_.enter_context(contextlib.closing(_Program(key, url, keys, now, has))) for has in (False, True)]
        for key, name in _FRAMEWORKS.items()
    }
    for name, (bare, mounted) in started.items():
        alone, ours = (Threads([program.address()] * CLIENTS, lambda: None) for program in (bare, mounted))
        for each in (alone, ours):
            open_.callback(each.close)
        without = partial(run, bare, alone, None), Row(f"{name}: login without Twofold", CLIENTS)
        doors = [
            (partial(run, mounted, ours, door), Row(f"{name}: login, {door}", CLIENTS)) for door in ("pages", "JSON")
        ]
        yield [without, *doors]
