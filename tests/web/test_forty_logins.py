"""Forty people at once at the notebook on each framework: the password, then the code, by pages, JSON and tokens.

Each request holds a connection of the host's pool, which has forty, and all forty are held while the codes are judged.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from examples.notebook import people
from tests.people import Clock, Phone, enroll, plain_settings
from tests.served import served
from tests.visitors import PASSWORD, Ada, Browser
from tests.web.notebooks import FRAMEWORKS, PERSON
from twofold import MFA
from twofold.database import enforce_foreign_keys
from twofold.schema.commands import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.databases import Database, Sources

CROWD = 40
WITHIN = 60.0
# Nothing is encrypted here, and the default is read from files anew for each client.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class HeldOnAsgi:
    """A connection for each request; forms and answers begin when all of the crowd have sent theirs."""

    def __init__(self, app: Any, engine: sa.Engine) -> None:
        self._app, self._engine, self._all = app, engine, asyncio.Barrier(CROWD)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        connection = await run_in_threadpool(self._engine.connect)
        try:
            await run_in_threadpool(connection.exec_driver_sql, "SELECT 1")
            if scope["method"] == "POST":
                async with asyncio.timeout(WITHIN):
                    await self._all.wait()
            await self._app(scope, receive, send)
        finally:
            await run_in_threadpool(connection.close)


class HeldOnWsgi:
    """The same in threads."""

    def __init__(self, app: Any, engine: sa.Engine) -> None:
        self._app, self._engine, self._all = app, engine, threading.Barrier(CROWD, timeout=WITHIN)

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
            if environ["REQUEST_METHOD"] == "POST":
                self._all.wait()
            answer = self._app(environ, start_response)
            yield from answer
            answer.close()


def through_pages(ada: Ada, code: str) -> list[int]:
    signed_in = ada.sign_in()
    answered = ada.browser.post("/mfa/challenge", code=code)
    return [signed_in.status_code, answered.status_code]


def through_json(ada: Ada, code: str) -> list[int]:
    client = ada.browser.client
    signed_in = client.post("/login", data={"email": ada.email, "password": PASSWORD})
    csrf = client.get("/mfa/api/status").json()["csrf_token"]
    answered = client.post("/mfa/api/challenge", json={"code": code}, headers={"X-CSRF-Token": csrf})
    return [signed_in.status_code, answered.status_code]


def with_tokens(client: httpx2.Client, email: str, code: str) -> tuple[list[int], int, bool]:
    signed_in = client.post("/login", data={"username": email, "password": PASSWORD})
    asked = signed_in.json()
    answered = client.post(asked["at"], json={"challenge": asked["challenge"], "code": code})
    token = answered.json()["session"]["access_token"]
    home = client.get("/me", headers={"authorization": f"Bearer {token}"})
    return [signed_in.status_code, answered.status_code], home.status_code, home.json()["email"] == email


@pytest.fixture(params=[*FRAMEWORKS, "fastapi_bearer"])
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database(databases: Sources, backend: str) -> Iterator[Database]:
    with databases.database(backend, migrated=False) as empty:
        yield empty


@pytest.mark.backends("sqlite", "postgresql")
def test_forty_people_sign_in_at_once(database: Database, framework: str, keys: str) -> None:
    clock, settings = Clock(datetime.now(UTC)), plain_settings(keys=keys, deadline=60)
    theirs, driver = database.engine(), {"postgresql": "postgresql+psycopg"}.get(database.backend, "sqlite")
    people.Base.metadata.create_all(theirs)
    ids = [people.register(theirs, f"user{number}@example.com", PASSWORD) for number in range(CROWD)]
    upgrade(theirs, settings)
    engine = sa.create_engine(
        sa.make_url(database.url).set(drivername=driver), pool_size=CROWD, max_overflow=0, pool_timeout=WITHIN
    )
    enforce_foreign_keys(engine)
    mfa = MFA(engine, settings, clock=clock)
    phones = [enroll(mfa, user_id, clock).phone for user_id in ids]
    app = importlib.import_module(f"examples.notebook.on_{framework}").build(theirs, mfa, has_tls=False)
    if hasattr(app, "wsgi_app"):
        app.wsgi_app = HeldOnWsgi(app.wsgi_app, engine)
    else:
        app.add_middleware(HeldOnAsgi, engine=engine)

    has_tokens = framework == "fastapi_bearer"

    def log_in(number: int, phone: Phone) -> tuple[list[int], int, bool]:
        email = f"user{number}@example.com"
        with httpx2.Client(base_url=url, headers=PERSON, timeout=WITHIN, verify=TLS) as client:
            if has_tokens:
                return with_tokens(client, email, phone.code())
            ada = Ada(Browser(client), clock, email)
            statuses = (through_json if number % 2 else through_pages)(ada, phone.code())
            home = client.get("/")
            return statuses, home.status_code, f"Notebook of {email}" in home.text

    with served(app) as url, ThreadPoolExecutor(CROWD) as threads:
        told = list(threads.map(log_in, range(CROWD), phones))
    engine.dispose()
    meant = ([403, 200], [403, 200]) if has_tokens else ([303, 303], [303, 200])
    assert told == [(meant[number % 2], 200, True) for number in range(CROWD)]
