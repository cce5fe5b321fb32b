"""The story in a second engine, WebKit as GTK has it: what is sent twice or comes late is answered once there, too."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys, WebKitGTKOptions
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from selenium.webdriver.webkitgtk.service import Service

from examples.sample import tables
from examples.sample.app import build
from tests.impatient import Line
from tests.people import Clock, Phone, plain_settings
from tests.served import served
from tests.visitors import PASSWORD
from twofold import MFA
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver.remote.webelement import WebElement

    from tests.databases import Database, Sources

# Ten seconds are too few on a machine that does much at once.
PATIENCE = 60


@pytest.fixture
def database(databases: Sources) -> Iterator[Database]:
    with databases.database("sqlite", migrated=True) as ready:
        yield ready


@pytest.fixture(scope="module")
def webkit() -> Iterator[webdriver.WebKitGTK]:
    reading, writing = os.pipe()
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-nolisten", "tcp"], pass_fds=[writing], stderr=subprocess.DEVNULL
    )
    os.close(writing)
    with os.fdopen(reading) as told:
        display = f":{told.readline().strip()}"
    options = WebKitGTKOptions()
    options.binary_location = str(next(Path("/usr/lib").glob("*/webkit2gtk-4*/MiniBrowser")))
    options.add_argument("--automation")
    service = Service(shutil.which("WebKitWebDriver"), env=os.environ | {"DISPLAY": display})
    try:
        with warnings.catch_warnings():
            # Selenium calls what it deprecates itself.
            warnings.simplefilter("ignore", DeprecationWarning)
            driver = webdriver.WebKitGTK(options=options, service=service)
        yield driver
        driver.quit()
    finally:
        screen.terminate()
        screen.wait(PATIENCE)


class Ada:
    """Ada at the second browser."""

    def __init__(self, driver: webdriver.WebKitGTK, url: str) -> None:
        self.driver, self.url = driver, url
        driver.get(url)
        driver.delete_all_cookies()
        # The browser forgets them a little later, and with them whatever it is given meanwhile.
        WebDriverWait(driver, PATIENCE).until(lambda driver: not driver.get_cookies())

    def go(self, path: str) -> None:
        self.driver.get(self.url + path)

    def one(self, selector: str) -> WebElement:
        return WebDriverWait(self.driver, PATIENCE).until(lambda driver: driver.find_element(By.CSS_SELECTOR, selector))

    def arrive(self, path: str) -> None:
        WebDriverWait(self.driver, PATIENCE).until(lambda driver: driver.current_url.split("?")[0] == self.url + path)

    def texts(self, selector: str) -> list[str]:
        return [one.text for one in self.driver.find_elements(By.CSS_SELECTOR, selector)]

    def give_password(self, path: str) -> None:
        self.go(path)
        self.one("input[name=email]").send_keys("ada@example.com")
        self.one("input[name=password]").send_keys(PASSWORD + Keys.ENTER)

    def click_twice(self, selector: str) -> None:
        ActionChains(self.driver).double_click(self.one(selector)).perform()


@pytest.mark.begun_first
@pytest.mark.parametrize("seconds", [0.2, 0.5])
def test_whatever_is_sent_twice_or_loaded_again_is_answered_once(
    database: Database, webkit: webdriver.WebKitGTK, seconds: float
) -> None:
    clock, engine = Clock(datetime.now(UTC)), database.engine()
    tables.create(engine)
    settings = plain_settings(keys=generate_key("k1"), issuer="Acme")
    line, mfa = Line(build(engine, settings, clock=clock)), MFA(engine, settings, clock=clock)
    with served(line) as url:
        ada = Ada(webkit, url)
        ada.give_password("/register")
        ada.arrive("/")
        ada.go("/mfa/setup")
        ada.one("form[action$='/setup/begin'] button").click()
        secret = str(ada.one("#secret").get_property("textContent"))
        phone = Phone(secret.strip(), clock)
        line.seconds = seconds
        # The sixth digit sends the form, and so does the impatient Enter after it.
        ada.one("input[name=code]").send_keys(phone.code() + Keys.ENTER)
        ada.arrive("/mfa/backup-codes")
        ada.one(".end button")
        codes = ada.texts(".codes li")
        assert len(codes) == 10
        webkit.refresh()
        assert ada.texts(".codes li") == codes
        ada.go("/mfa/security")
        webkit.back()
        assert ada.texts(".codes li") == codes

        ada.go("/")
        ada.one("form[action$='/sign-out'] button").click()
        ada.arrive("/login")
        clock.forward(seconds=60)
        ada.give_password("/login")
        ada.arrive("/mfa/challenge")
        # Filled in by a program that tells nobody, it is sent by nobody but the person.
        ada.one("input[name=code]")
        webkit.execute_script("document.querySelector('input[name=code]').value = arguments[0]", phone.code())
        ada.click_twice("main button.primary")
        ada.arrive("/")
        assert mfa.status(1).is_enrolled
        ada.go("/mfa/challenge")
        ada.arrive("/")
