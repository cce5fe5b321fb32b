"""`twofold serve`: it starts when all is there, and says when it no longer is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from starlette.testclient import TestClient

from tests.cli.conftest import PROGRAM
from twofold import Settings
from twofold.service.app import create_app
from twofold.service.readiness import Readiness

if TYPE_CHECKING:
    from tests.cli.conftest import Shell
    from tests.databases import Database


def ready(database: Database, **given: Any) -> tuple[int, dict[str, Any]]:
    """Ask a service that has just been made."""
    settings = Settings(**{"_env_file": None, "database_url": database.url, **given})
    with TestClient(create_app(Readiness(database.engine(), settings))) as client:
        answer = client.get("/health/ready")
        return answer.status_code, answer.json()


def test_readiness_tells_database_schema_and_keys_apart(migrated: Database, keys: str) -> None:
    fine = {"keys": "ok", "database": "ok", "schema": "ok"}
    assert ready(migrated, keys=keys) == (200, {"status": "ready", "checks": fine})
    assert ready(migrated) == (503, {"status": "not ready", "checks": {**fine, "keys": "failed"}})
    with migrated.engine().begin() as connection:
        connection.execute(sa.text("DROP TABLE mfa_events"))
    assert ready(migrated, keys=keys) == (503, {"status": "not ready", "checks": {**fine, "schema": "failed"}})


@pytest.mark.backends("sqlite")
def test_a_database_that_goes_away_is_told_without_a_word_of_where_it_was(migrated: Database, keys: str) -> None:
    gone = type(migrated)("postgresql://ada:sekret@127.0.0.1:1/app", "postgresql")
    checks = {"keys": "ok", "database": "failed", "schema": "unknown"}
    assert ready(gone, keys=keys) == (503, {"status": "not ready", "checks": checks})


@pytest.mark.backends("sqlite")
def test_asking_often_does_not_ask_the_database(migrated: Database, keys: str) -> None:
    engine = migrated.engine()
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    made: dict[str, Any] = {"_env_file": None, "keys": keys}
    with TestClient(create_app(Readiness(engine, Settings(**made)))) as client:
        client.get("/health/ready")
        once = len(statements)
        for _ in range(5):
            assert client.get("/health/ready").status_code == 200
    assert len(statements) == once > 0


@pytest.mark.backends("sqlite")
def test_pages_carry_the_headers_that_keep_a_browser_still(migrated: Database, keys: str) -> None:
    made: dict[str, Any] = {"_env_file": None, "keys": keys}
    with TestClient(create_app(Readiness(migrated.engine(), Settings(**made)))) as client:
        page = client.get("/")
        assert (page.status_code, "Twofold" in page.text) == (200, True)
        for path in ("/", "/health/live", "/nowhere"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.backends("sqlite")
def test_it_does_not_start_on_tables_that_differ(twofold: Shell, migrated: Database) -> None:
    with migrated.engine().begin() as connection:
        connection.execute(sa.text("DROP INDEX ix_mfa_backup_codes_code_hash"))
    answer = twofold("serve", "--port", "0")
    assert (answer.code, answer.out) == (1, "")
    assert "The tables differ from revision" in answer.err


@pytest.mark.backends("sqlite")
def test_a_port_that_is_taken_is_a_sentence(twofold: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = twofold("serve", "--port", str(taken.getsockname()[1]))
    assert (answer.code, answer.out) == (78, "")
    assert "Nothing can listen on 127.0.0.1 port" in answer.err


@pytest.mark.backends("sqlite")
def test_the_real_program_serves_and_stops(migrated: Database, keys: str) -> None:
    environment = {**os.environ, "TWOFOLD_KEYS": keys, "TWOFOLD_DATABASE_URL": migrated.url}
    # A shell starts what runs in the background deaf to Ctrl-C, and its children inherit that.
    hearing = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-c", hearing, str(PROGRAM), "serve", "--port", "0", "--json"]
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            url = json.loads(server.stdout.readline())["listening"]
            assert url.startswith("http://127.0.0.1:")
            for path, word in (("/", "Twofold"), ("/health/live", "alive"), ("/health/ready", "ready")):
                with urlopen(url + path) as answer:
                    assert word in answer.read().decode()
                    assert "server" not in {name.lower() for name in answer.headers}
            with pytest.raises(HTTPError, match="404"):
                urlopen(f"{url}/nowhere")
        finally:
            server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=60)
    assert server.returncode == 130
    assert "Traceback" not in err
