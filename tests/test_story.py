"""The whole story over HTTP on each database, told with tools that are not ours, and what it leaves in the database.

Ada registers, scans the picture of the page, confirms, signs in with a code, trusts her browser, comes back without
being asked, and signs in with a backup code. Then the log is read, and the database is searched for everything she
ever typed."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import resvg_py
import sqlalchemy as sa
import zxingcpp
from PIL import Image
from pyotp import parse_uri
from pyotp.totp import TOTP
from starlette.testclient import TestClient

from examples.sample import tables
from examples.sample.__main__ import called_sample
from examples.sample.app import build
from tests.canaries import Canaries
from tests.people import FIREFOX, Clock, plain_settings
from tests.servers import postgresql_programs
from tests.visitors import PASSWORD, Browser
from twofold import MFA

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database


def picture(svg: str) -> bytes:
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=600, background="white"))


def scan_with_zxing(svg: str) -> str:
    with Image.open(io.BytesIO(picture(svg))) as image:
        (found,) = zxingcpp.read_barcodes(image.convert("L"))
    return found.text


def scan_with_zbarimg(svg: str) -> str:
    command = ["zbarimg", "--quiet", "--raw", "-"]
    return subprocess.run(command, input=picture(svg), capture_output=True, check=True).stdout.decode().strip()


def code_of_pyotp(secret: str, at: datetime) -> str:
    return TOTP(secret).at(at)


def code_of_oathtool(secret: str, at: datetime) -> str:
    moment = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    command = ["oathtool", "--totp", "--base32", f"--now={moment}", "-"]
    return subprocess.run(command, input=secret, capture_output=True, check=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Tools:
    """What reads the picture and makes the codes."""

    scan: Callable[[str], str]
    code: Callable[[str, datetime], str]


TOOLS = {"zxing-cpp and pyotp": Tools(scan_with_zxing, code_of_pyotp)}
if shutil.which("zbarimg") and shutil.which("oathtool"):
    TOOLS["zbarimg and oathtool"] = Tools(scan_with_zbarimg, code_of_oathtool)


@pytest.fixture(params=TOOLS)
def tools(request: pytest.FixtureRequest) -> Tools:
    return TOOLS[str(request.param)]


@pytest.fixture
def clock() -> Clock:
    # The microseconds must not look like a code.
    return Clock(datetime.now(UTC).replace(microsecond=1))


@pytest.mark.requirement("R32", "R37", "R72", "R86", "R99")
@pytest.mark.attack("A39")
def test_the_whole_story(migrated: Database, clock: Clock, keys: str, tools: Tools) -> None:
    engine = migrated.engine()
    tables.create(engine)
    settings = plain_settings(keys=keys)
    app = build(engine, settings, clock=clock)
    client = TestClient(app, base_url="https://testserver", follow_redirects=False)
    client.headers["user-agent"] = FIREFOX.user_agent or ""
    browser = Browser(client)
    typed: list[str] = [PASSWORD]

    # Ada registers, and scans the picture.
    browser.get("/register")
    assert browser.post("/register", email="ada@example.com", password=PASSWORD).headers["location"] == "/"
    browser.get("/mfa/setup")
    browser.post("/mfa/setup/begin")
    page = browser.get("/mfa/setup").text
    (svg,) = re.findall(r"<svg[^>]*viewBox.*?</svg>", page[page.index('class="qr"') :], re.DOTALL)[:1]
    uri = tools.scan(svg)
    read = parse_uri(uri)
    assert (read.issuer, read.name) == ("Twofold", "ada@example.com")
    secret = read.secret
    assert secret in page.replace("<wbr>", "").replace("<span>", "").replace("</span>", "")

    def code() -> str:
        clock.forward(seconds=60)
        typed.append(tools.code(secret, clock.now))
        return typed[-1]

    def sign_in() -> str:
        browser.get("/")
        browser.post("/sign-out")
        browser.get("/login")
        location = browser.post("/login", email="ada@example.com", password=PASSWORD).headers["location"]
        browser.get(location)
        return location

    # She confirms, and writes the backup codes down.
    browser.post("/mfa/setup/confirm", code=code())
    shown = browser.get("/mfa/backup-codes").text
    backup_codes = re.findall(r"<li>([0-9A-Z-]{29})</li>", shown)
    assert len(backup_codes) == 10

    # She signs in with a wrong code first, then a right one, and trusts the browser.
    assert sign_in() == "/mfa/challenge"
    right = code()
    typed.append(wrong := f"{(int(right) + 500_000) % 1_000_000:06}")
    assert browser.post("/mfa/challenge", code=wrong).status_code == 400
    assert browser.post("/mfa/challenge", code=right, trust_device="yes").headers["location"] == "/"
    assert "ada@example.com" in browser.get("/").text
    typed.append(first_token := browser.device() or "")
    assert first_token

    # She comes back and is not asked; her cookie is a new one.
    assert sign_in() == "/"
    typed.append(browser.device() or "")
    assert typed[-1] not in {"", first_token}
    typed.append(browser.cookie("__Host-sample_session") or "")

    # Managing needs a code in spite of the trust; then no device is trusted any more.
    assert browser.post("/mfa/devices/revoke-all").headers["location"].startswith("/mfa/reverify")
    browser.get("/mfa/reverify")
    browser.post("/mfa/reverify", code=code())
    browser.get("/mfa/security")
    browser.post("/mfa/devices/revoke-all")

    # The phone stays at home; a backup code gets her in, once.
    assert sign_in() == "/mfa/challenge"
    assert browser.post("/mfa/challenge", code=backup_codes[0]).headers["location"] == "/"
    assert sign_in() == "/mfa/challenge"
    assert browser.post("/mfa/challenge", code=backup_codes[0]).status_code == 400

    # The log says so, and nobody has touched it.
    mfa = MFA(engine, settings, clock=clock)
    log = [(event.kind, event.status) for event in reversed(mfa.events.recent(1, limit=100))]
    assert log == [
        ("totp_begun", "success"),
        ("totp_confirmed", "success"),
        ("challenged", "success"),
        ("code_refused", "refused"),
        ("code_accepted", "success"),
        ("device_trusted", "success"),
        ("device_recognized", "success"),
        ("code_accepted", "success"),
        ("device_revoked", "success"),
        ("challenged", "success"),
        ("code_accepted", "success"),
        ("challenged", "success"),
        ("code_refused", "refused"),
    ]
    assert mfa.events.verify(1).is_intact
    words = browser.get("/mfa/challenge").text
    assert "Traceback" not in words

    canaries = Canaries()
    canaries.hide("what she typed", *typed)
    canaries.hide("a backup code", *backup_codes)
    canaries.hide("the URI", uri)
    canaries.hide_secret(secret)
    canaries.hide_keys(keys)
    dump = dumped(migrated, engine)
    assert b"ada@example.com" in dump
    assert canaries.seen_in(dump) == []


def dumped(database: Database, engine: sa.Engine) -> bytes:
    """Everything that the database holds: every column of every table, and the server's own dump or the file itself."""
    parts: list[bytes] = []
    metadata = sa.MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            parts += [repr(tuple(row)).encode() for row in connection.execute(sa.select(table))]
    if database.backend == "sqlite":
        file = Path(database.url.removeprefix("sqlite:///"))
        parts += [path.read_bytes() for path in file.parent.glob(f"{file.name}*")]
    if database.backend == "postgresql":
        command = [str(postgresql_programs() / "pg_dump"), "--inserts", database.url]
        parts.append(subprocess.run(command, capture_output=True, check=True).stdout)
    assert len(metadata.tables) >= 7
    return b"\n".join(parts)


def test_the_sample_is_a_deployment_of_its_own() -> None:
    assert called_sample(plain_settings()).deployment == "sample"
    assert called_sample(plain_settings(deployment="staging")).deployment == "staging"
