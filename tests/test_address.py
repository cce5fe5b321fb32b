"""What a database URL may say: any of its names, and values that a driver takes as numbers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.people import add_user, plain_settings
from twofold import MFA, AsyncMFA, ConfigurationError
from twofold.database import create_async_engine, create_engine

if TYPE_CHECKING:
    from tests.databases import Database

FACES = pytest.mark.parametrize("make", [create_engine, create_async_engine])
SERVER = {"postgresql": "postgresql://ada:hidden@db/app", "mariadb": "mariadb://ada:hidden@db/app"}
WRONG = [
    *(("sqlite", text, "timeout") for text in ("timeout=soon", "timeout=-1", "timeout=1&timeout=2")),
    ("sqlite", "cached_statements=1.5", "cached_statements"),
    ("sqlite", "detect_types=all", "detect_types"),
    ("sqlite", "uri=maybe", "uri"),
    ("sqlite", "check_same_thread=2", "check_same_thread"),
    *(
        ("postgresql", f"prepare_threshold={text}", "prepare_threshold")
        for text in ("", "soon", "-1", "5.0", "5&prepare_threshold=0", "none&prepare_threshold=")
    ),
    *(
        ("postgresql", f"{name}=soon", name)
        for name in (
            "connect_timeout",
            "tcp_user_timeout",
            "keepalives",
            "keepalives_idle",
            "keepalives_interval",
            "keepalives_count",
        )
    ),
    ("postgresql", "read_timeout=1&read_timeout=2", "read_timeout"),
    *(("postgresql", f"{name}=x", name) for name in ("autocommit", "row_factory", "cursor_factory", "context")),
    ("postgresql", "prepare_treshold=0", "prepare_treshold"),
    ("postgresql", "sslmode=", "sslmode"),
    ("sqlite", "timeout=", "timeout"),
    ("mariadb", "charset=&ssl_ca=x", "charset"),
    *(
        ("mariadb", f"{name}={value}", name)
        for name in ("connect_timeout", "read_timeout", "write_timeout")
        for value in ("soon", "0", "1.5")
    ),
    *(("mariadb", f"{name}=many", name) for name in ("client_flag", "max_allowed_packet")),
    *(("mariadb", f"{name}=maybe", name) for name in ("compress", "local_infile", "use_unicode", "ssl_check_hostname")),
    ("mariadb", "autocommit=true", "autocommit"),
    ("mariadb", "prepare_threshold=0", "prepare_threshold"),
]


@FACES
@pytest.mark.parametrize(("named", "query", "name"), WRONG)
def test_a_value_that_a_driver_cannot_take_is_refused_by_name(make: Any, named: str, query: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\b{name}\b.*TWOFOLD_DATABASE_URL|URL .*\b{name}\b") as refused:
        make(f"{SERVER.get(named, 'sqlite:///app.db')}?{query}")
    assert "hidden" not in str(refused.value)


@FACES
def test_a_password_with_a_question_mark_is_no_query(make: Any) -> None:
    engine = make("postgresql://ada:hid?den@db/app")
    assert (engine.url.password, engine.url.query) == ("hid?den", {})


def answer(engine: Any, user: int, keys: str) -> Any:
    """Ask something of the library over an engine of either face, and let go of it."""
    settings = plain_settings(keys=keys)
    if not isinstance(engine, AsyncEngine):
        with engine.connect():
            told = MFA(engine, settings).status(user).is_enrolled
        engine.dispose()
        return told

    async def awaited() -> Any:
        told = (await AsyncMFA(engine, settings).status(user)).is_enrolled
        await engine.dispose()
        return told

    return asyncio.run(awaited())


ARRIVES = {
    "sqlite": ["timeout=0.5&cached_statements=7&detect_types=0&check_same_thread=false"],
    "postgresql": [
        "prepare_threshold=0&connect_timeout=7&keepalives_idle=9&tcp_user_timeout=9000&read_timeout=2.5",
        "prepare_threshold=None&application_name=ours",
    ],
    "mariadb": [
        "connect_timeout=7&read_timeout=8&write_timeout=9&max_allowed_packet=1048576&client_flag=0&local_infile=false"
    ],
}


@FACES
def test_a_value_that_a_driver_can_take_arrives(migrated: Database, keys: str, make: Any) -> None:
    ada = add_user(migrated, "ada@example.com")
    for query in ARRIVES[migrated.backend]:
        assert answer(make(f"{migrated.url}?{query}"), ada, keys) is False


@FACES
@pytest.mark.parametrize("driver", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg"])
@pytest.mark.backends("postgresql")
def test_postgresql_goes_by_the_name_that_hosting_services_give_it(
    migrated: Database, keys: str, make: Any, driver: str
) -> None:
    url = f"{driver}://{migrated.url.partition('://')[2]}"
    engine = make(url)
    assert engine.url.drivername == "postgresql+psycopg"
    assert answer(engine, add_user(migrated, "ada@example.com"), keys) is False


PREPARED = "SELECT count(*) FROM pg_prepared_statements"


@pytest.mark.backends("postgresql")
@pytest.mark.parametrize(
    ("query", "is_prepared"), [("", True), ("?prepare_threshold=0", True), ("?prepare_threshold=none", False)]
)
def test_prepared_statements_can_be_left_out_for_a_pooler(migrated: Database, query: str, *, is_prepared: bool) -> None:
    engine = create_engine(migrated.url + query)
    with engine.connect() as connection:
        for _ in range(12):
            connection.exec_driver_sql("SELECT 7").scalar_one()
        assert (connection.exec_driver_sql(PREPARED).scalar_one() > 0) is is_prepared
    engine.dispose()

    async def awaited() -> None:
        engine = create_async_engine(migrated.url + query)
        async with engine.connect() as connection:
            for _ in range(12):
                (await connection.exec_driver_sql("SELECT 7")).scalar_one()
            assert ((await connection.exec_driver_sql(PREPARED)).scalar_one() > 0) is is_prepared
        await engine.dispose()

    asyncio.run(awaited())
