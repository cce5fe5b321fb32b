"""What `make run` starts, in a real browser: the story as Ada lives it, with her phone in her hand.

With SCREENSHOTS=FOLDER the pages are kept as pictures to look at.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect
from pyotp import parse_uri
from pyotp.totp import TOTP

from tests.chrome import chrome, come_to_rest, type_code
from tests.servers import free_port
from tests.web.authenticators import Authenticators

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "correct horse battery"


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[str]:
    """The sample application as its own process, in an empty folder and with no configuration."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TWOFOLD_")}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.sample", "--port", str(port)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://localhost:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                httpx2.get(url, trust_env=False)
                break
            except httpx2.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert oct((tmp_path / "twofold.keys").stat().st_mode & 0o777) == "0o600"
        yield url
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def page() -> Iterator[Page]:
    with chrome() as browser:
        yield browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB")


def look(page: Page, name: str) -> None:
    """Keep pictures of a page, on a desk and on a phone, by day and by night."""
    if folder := os.environ.get("SCREENSHOTS"):
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for device, width, height in (("desk", 1280, 900), ("phone", 390, 844)):
                page.set_viewport_size({"width": width, "height": height})
                come_to_rest(page)
                page.screenshot(path=Path(folder) / f"{name}-{device}-{scheme}.png", full_page=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 900})


def sign_in(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("button", name=re.compile("sign out", re.IGNORECASE)).first.click()
    page.wait_for_url(f"{url}/login")
    page.locator("input[name=email]").fill("ada@example.com")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")


@pytest.mark.begun_first
def test_ada_sets_up_signs_in_trusts_and_comes_back(sample: str, page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto(f"{sample}/register")
    look(page, "01-register")
    page.locator("input[name=email]").fill("ada@example.com")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(f"{sample}/")
    look(page, "02-home")

    page.goto(f"{sample}/mfa/setup")
    page.locator("form[action$='/setup/begin'] button").click()
    expect(page.locator(".qr svg")).to_be_visible()
    # Style sheets move it, and the script hears what is typed.
    page.wait_for_load_state("load")
    look(page, "03-setup")
    with Image.open(io.BytesIO(page.locator(".qr svg").screenshot())) as image:
        (found,) = zxingcpp.read_barcodes(image)
    phone = TOTP(parse_uri(found.text).secret)
    # Three codes are needed, each of a later step than the one before, and nobody waits so long for them. The first is
    # of the step that has passed, and is taken until this one ends; the others are good for longer.
    while time.time() % 30 > 12:
        time.sleep(0.5)

    # The sixth digit sends the form.
    type_code(page, phone.at(datetime.now(UTC), counter_offset=-1))
    expect(page.locator(".codes li")).to_have_count(10)
    look(page, "04-backup-codes")
    backup_code = page.locator(".codes li").first.inner_text().strip()
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("download", re.IGNORECASE)).click()
    assert backup_code in Path(download.value.path()).read_text()

    sign_in(page, sample)
    page.wait_for_url("**/mfa/challenge")
    look(page, "05-challenge")
    page.locator("input[name=trust_device]").check()
    type_code(page, phone.now())
    page.wait_for_url(f"{sample}/")

    sign_in(page, sample)
    page.wait_for_url(f"{sample}/")
    page.goto(f"{sample}/mfa/security")
    look(page, "06-security")
    expect(page.get_by_text("Chrome on Linux").first).to_be_visible()
    page.get_by_role("button", name=re.compile("stop trusting", re.IGNORECASE)).click()
    expect(page.get_by_text("Once you have confirmed, the device is no longer trusted.")).to_be_visible()
    type_code(page, phone.at(datetime.now(UTC), counter_offset=1))
    page.wait_for_url(re.compile("/mfa/security"))
    expect(page.get_by_role("button", name=re.compile("stop trusting", re.IGNORECASE))).to_have_count(0)
    look(page, "07-device-revoked")

    sign_in(page, sample)
    page.wait_for_url("**/mfa/challenge")
    page.get_by_role("link", name=re.compile("backup code", re.IGNORECASE)).click()
    page.wait_for_url("**/mfa/challenge?with=backup-code")
    look(page, "08-challenge-backup-code")
    page.locator("input[name=code]").fill(backup_code.lower())
    page.locator("input[name=code]").press("Enter")
    page.wait_for_url(f"{sample}/")
    page.goto(f"{sample}/mfa/security")
    expect(page.get_by_text(re.compile("9 of 10"))).to_be_visible()
    look(page, "09-security-after")
    assert complaints == []


def test_what_make_run_starts_takes_passkeys(sample: str, page: Page) -> None:
    Authenticators(page).add("internal")
    page.goto(f"{sample}/register")
    page.locator("input[name=email]").fill("ada@example.com")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(f"{sample}/")
    page.goto(f"{sample}/mfa/setup")
    look(page, "10-setup-offers-passkeys")
    page.get_by_role("button", name="Set up a passkey").click()
    look(page, "11-passkey")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.locator(".codes li")).to_have_count(10)
    page.goto(f"{sample}/mfa/security")
    look(page, "12-security-with-a-passkey")
    sign_in(page, sample)
    page.wait_for_url("**/mfa/challenge")
    look(page, "13-challenge-by-passkey")
    page.get_by_role("button", name="Use your passkey").click()
    page.wait_for_url(f"{sample}/")


def test_a_reader_far_away_sees_times_of_their_own(sample: str) -> None:
    with chrome() as browser:
        for has_script in (True, False):
            # Their day begins fourteen hours before that of UTC, so that one of both is always another day.
            context = browser.new_context(
                locale="de-DE", timezone_id="Pacific/Kiritimati", java_script_enabled=has_script
            )
            page = context.new_page()
            page.goto(f"{sample}/register")
            page.locator("input[name=email]").fill(f"{has_script}@example.com")
            page.locator("input[name=password]").fill(PASSWORD)
            page.locator("button.primary").click()
            page.wait_for_url(f"{sample}/")
            page.goto(f"{sample}/mfa/setup")
            page.locator("form[action$='/setup/begin'] button").click()
            expect(page.locator("form[action$='/setup/confirm'] button")).to_be_visible()
            secret = "".join(page.locator("#secret span").all_text_contents())
            type_code(page, TOTP(secret).now())
            if not has_script:
                page.locator("form[action$='/setup/confirm'] button").click()
            page.wait_for_url(re.compile("(?<!setup)$"))
            page.goto(f"{sample}/mfa/security")
            assert page.locator("html").get_attribute("lang") == "de-DE"
            since = page.locator("time[data-local=day]").first
            at = datetime.fromisoformat(since.get_attribute("datetime") or "")
            here = at.astimezone(timezone(timedelta(hours=14)) if has_script else UTC)
            assert re.fullmatch(rf"{here.day}\. \w+ {here.year}", since.text_content() or "")
