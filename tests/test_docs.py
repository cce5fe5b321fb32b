"""What the documentation shows is run, and what can be looked up is there."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from pyotp.totp import TOTP
from starlette.requests import HTTPConnection, Request

import twofold
from tests import reference
from tests.databases import ROOT
from tests.people import FIREFOX, Clock, plain_settings
from twofold import MFA, Reason, Rejected, Settings, Stale
from twofold.cli.doctor import server
from twofold.errors import MFAError
from twofold.kinds import Kind

if TYPE_CHECKING:
    from tests.databases import Database


pytestmark = pytest.mark.backends("sqlite")


def blocks(page: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def run(page: str, number: int, names: dict[str, Any]) -> None:
    exec(compile(blocks(page)[number], f"{page}, block {number}", "exec"), names)


@pytest.fixture
def face() -> str:
    return "blocking"


def asked_by_firefox(**cookies: str) -> HTTPConnection:
    """A request as Starlette has it."""
    sent = {"user-agent": FIREFOX.user_agent or "", "cookie": "; ".join(f"{key}={cookies[key]}" for key in cookies)}
    headers = [(name.encode(), value.encode()) for name, value in sent.items()]
    return HTTPConnection({"type": "http", "headers": headers, "client": (FIREFOX.ip_address, 443)})


def test_the_login_of_the_readme_works(
    migrated: Database, ada: int, clock: Clock, keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWOFOLD_KEYS", keys)
    answers: list[tuple[Any, dict[str, Any]]] = []

    class Response:
        cookies: dict[str, str]

        def set_cookie(self, name: str, value: str, **options: Any) -> None:
            assert options["httponly"]
            assert options["secure"]
            self.cookies = {name: value}

    def log_in(user_id: Any, **how: Any) -> Response:
        answers.append((user_id, how))
        return Response()

    names: dict[str, Any] = {
        "MFA": lambda engine, settings: MFA(engine, settings, clock=clock),
        "Settings": Settings,
        "engine": migrated.engine(),
        "log_in": log_in,
        "ask_for_code": lambda token: token,
        "user_id": ada,
    }
    _mounting, login, enrolment = blocks("README.md")
    exec(login, names)
    begin, confirm = enrolment.strip().splitlines()
    exec(begin, names)
    phone = TOTP(names["enrollment"].secret)
    names["code_from_the_app"] = phone.at(clock.now)
    exec(confirm, names)
    assert len(names["enrolled"].backup_codes) == 10

    clock.forward(seconds=60)
    token = names["after_password"](ada, asked_by_firefox())
    with pytest.raises(Rejected):
        names["after_code"]({"challenge": token, "code": "000000x"}, asked_by_firefox())
    form = {"challenge": token, "code": phone.at(clock.now), "trust_device": "on"}
    ((name, cookie),) = names["after_code"](form, asked_by_firefox()).cookies.items()
    assert answers[-1][0] == ada
    assert "mfa" in answers[-1][1]["amr"]
    names["after_password"](ada, asked_by_firefox(**{name: cookie}))
    assert answers[-1][1]["because"] == "trusted_device"
    assert answers[-1][1]["device"].token != cookie


def test_the_library_page_runs_from_top_to_bottom(
    migrated: Database, ada: int, mfa: MFA, clock: Clock, keys: str
) -> None:
    names: dict[str, Any] = {
        "mfa": mfa,
        "user_id": ada,
        "clock": clock,
        "engine": migrated.engine(),
        "settings": plain_settings(keys=keys),
        "firefox": FIREFOX,
        "TOTP": TOTP,
        "twofold": twofold,
        "Reason": Reason,
        "Rejected": Rejected,
        "Stale": Stale,
    }
    for number in range(len(blocks("docs/library.md"))):
        run("docs/library.md", number, names)


def test_the_mount_of_the_readme_holds_a_login(
    migrated: Database, ada: int, clock: Clock, keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from fastapi import FastAPI
    from starlette.middleware.sessions import SessionMiddleware
    from starlette.testclient import TestClient

    monkeypatch.setenv("TWOFOLD_KEYS", keys)
    app, engine = FastAPI(), migrated.engine()
    app.add_middleware(SessionMiddleware, secret_key="secret")

    @app.get("/in")
    def log_in(request: Request) -> str:
        request.session["account"] = ada
        return "done"

    names: dict[str, Any] = {
        "MFA": lambda engine, settings: MFA(engine, settings, clock=clock),
        "Settings": Settings,
        "app": app,
        "engine": engine,
        "find_account": lambda found: found and SimpleNamespace(id=found, email="ada@example.com"),
    }
    exec(blocks("README.md")[0], names)
    mfa = MFA(engine, Settings(), clock=clock)
    mfa.totp.confirm(ada, TOTP(mfa.totp.begin(ada, account_name="ada@example.com").secret).at(clock.now))
    client = TestClient(app, headers={"accept": "text/html"}, follow_redirects=False)
    assert client.get("/in").headers["location"] == "/mfa/challenge"
    assert client.get("/mfa/security").headers["location"] == "/mfa/challenge"


@pytest.mark.parametrize("number", range(3))
def test_each_application_of_the_frameworks_page_runs_by_itself(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx2
    from starlette.testclient import TestClient

    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "shop"}
    run("docs/frameworks.md", number, names)
    app, mfa = names["app"], MFA(names["engine"], names["settings"])
    with names["engine"].begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO users (id, subject, created_at) VALUES (1, 'ada@example.com', '2026-01-01 00:00:00')"
        )
    reads = {"accept": "text/html"}
    client: httpx2.Client = (
        httpx2.Client(transport=httpx2.WSGITransport(app=app), base_url="https://testserver", headers=reads)
        if hasattr(app, "wsgi_app")
        else TestClient(app, base_url="https://testserver", headers=reads, follow_redirects=False)
    )
    phone = TOTP(mfa.totp.begin(1, account_name="ada@example.com").secret)
    mfa.totp.confirm(1, phone.now())
    assert client.get("/").headers["location"] == "/login"
    assert client.post("/login").headers["location"] == "/mfa/challenge"
    assert client.get("/export").headers["location"] == "/mfa/challenge"
    assert client.get("/mfa/challenge").status_code == 200
    names["engine"].dispose()


def test_the_application_with_tokens_asks_for_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.testclient import TestClient

    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "shop"}
    run("docs/frameworks.md", 3, names)
    mfa = MFA(names["engine"], names["settings"])
    with names["engine"].begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO users (id, subject, created_at) VALUES (1, 'ada@example.com', '2026-01-01 00:00:00')"
        )
    client = TestClient(names["app"], base_url="https://testserver")
    form = {"username": "ada@example.com", "password": "correct horse"}
    before = {"authorization": f"Bearer {client.post('/token', data=form).json()['access_token']}"}
    assert client.get("/me", headers=before).json() == 1
    phone = TOTP(mfa.totp.begin(1, account_name="ada@example.com").secret)
    enrolled = mfa.totp.confirm(1, phone.now())
    waiting = client.post("/token", data=form)
    assert (waiting.status_code, waiting.json()["reason"]) == (403, "login_waits")
    sent = {"challenge": waiting.json()["challenge"], "code": enrolled.backup_codes[0]}
    token = client.post(waiting.json()["at"], json=sent).json()["session"]["access_token"]
    assert client.get("/export", headers={"authorization": f"Bearer {token}"}).json() == {
        "everything of": "ada@example.com"
    }
    assert 500 < len(names["read"](token)["twofold"]) < 1000


def test_the_pages_page_mounts_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    monkeypatch.chdir(tmp_path)
    words = tmp_path / "acme/translations/nl/LC_MESSAGES"
    for folder in (words, tmp_path / "acme/templates"):
        folder.mkdir(parents=True)
    (template,), (catalogue,) = blocks("docs/pages.md", "html"), blocks("docs/pages.md", "po")
    (tmp_path / "acme/templates/layout.html").write_text(template)
    (words / "twofold.po").write_text(catalogue)
    names: dict[str, Any] = {}
    for number in range(len(blocks("docs/pages.md"))):
        run("docs/pages.md", number, names)
    client = TestClient(names["app"], base_url="https://testserver", follow_redirects=False)
    assert client.get("/mfa/security").headers["location"] == "/login"

    with names["engine"].begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO users (id, subject, created_at) VALUES (1, 'ada@example.com', '2026-01-01 00:00:00')"
        )
    mounted = FastAPI()
    mounted.include_router(names["branded"], prefix="/mfa")
    names["SESSIONS"]["x"] = names["SignedIn"]("x", 1, "ada@example.com")
    headers = {"cookie": "__Host-session=x", "accept-language": "nl"}
    page = TestClient(mounted, base_url="https://testserver").get("/mfa/security", headers=headers).text
    for shown in ("/static/acme.svg", "/static/acme.ico", "help.example.com", "Naar de inhoud", "Uw account", "Vienna"):
        assert shown in page
    names["engine"].dispose()


def test_the_api_page_mounts_the_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.testclient import TestClient

    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run("docs/api.md", 0, names)
    with names["engine"].begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO users (id, subject, created_at) VALUES (1, 'ada@example.com', '2026-01-01 00:00:00')"
        )
    client = TestClient(names["app"], base_url="https://testserver")
    client.headers["authorization"] = f"Bearer {names['after_password'](asked_by_firefox(), 1, None)['access_token']}"
    phone = TOTP(client.post("/mfa/api/totp/begin").json()["secret"])
    spent = phone.now()
    proven = client.post("/mfa/api/totp/confirm", json={"code": spent}).json()["proven"]
    token = names["after_password"](asked_by_firefox(), 1, None)["challenge"]
    refused = client.post("/mfa/api/challenge", json={"code": spent, "challenge": token}, headers={"authorization": ""})
    assert refused.json()["reason"] == "wrong_code"
    ended = client.post("/mfa/api/totp/disable", headers={"twofold-proof": proven["proof"]})
    assert ended.json() == {"session": None}
    names["engine"].dispose()


def test_the_settings_page_makes_an_mfa(
    migrated: Database, keys: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "twofold.keys").write_text(keys)
    (tmp_path / "twofold.keys").chmod(0o600)
    run("docs/settings.md", 0, {"MFA": MFA, "Settings": Settings, "Path": Path, "engine": migrated.engine()})


def test_the_page_of_what_the_host_hears_runs_in_an_empty_file(
    keys: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWOFOLD_KEYS", keys)
    for number in range(len(blocks("docs/observing.md"))):
        run("docs/observing.md", number, {})


def test_what_the_hosts_page_says_makes_sqlite_enforce_foreign_keys(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    run("docs/hosts.md", 0, {"engine": engine})
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_every_name_is_public_sorted_and_there() -> None:
    assert twofold.__all__ == sorted(twofold.__all__, key=lambda name: (name != name.upper(), name.islower(), name))
    for name in twofold.__all__:
        assert getattr(twofold, name).__doc__


def test_every_error_and_reason_can_be_looked_up() -> None:
    def family(error: type[MFAError]) -> list[type[MFAError]]:
        return [error, *(child for each in error.__subclasses__() for child in family(each))]

    tree = (ROOT / "src/twofold/errors.py").read_text().partition('"""\n\nfrom')[0]
    for error in family(MFAError):
        if error.__module__.startswith("twofold."):
            assert error.__name__ in tree
            assert error.__doc__
    library = (ROOT / "docs/library.md").read_text()
    for reason in Reason:
        assert f"`{reason}`" in library


def test_the_reference_is_made_from_the_code() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "run: python -m tests.reference"


def test_an_operation_tells_the_parameters_that_a_caller_gives(mfa: MFA) -> None:
    assert list(inspect.signature(mfa.verify).parameters) == ["challenge_token", "code", "request"]


def test_every_link_in_the_documentation_leads_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)


def test_every_event_has_words_for_its_owner() -> None:
    from twofold.web import activity

    text = Path(activity.__file__).read_text()
    for kind in Kind:
        assert kind.name in text or f'"{kind}"' in text, kind


def test_every_property_of_the_style_sheet_can_be_looked_up() -> None:
    page = (ROOT / "docs/pages.md").read_text()
    sheet = (ROOT / "src/twofold/web/static/twofold.css").read_text()
    found = [set(re.findall(r"--twofold-[a-z]+(?:-[a-z]+)*", text)) for text in (page, sheet)]
    assert found[0] == found[1]


def test_the_readme_names_the_lowest_versions() -> None:
    readme = (ROOT / "README.md").read_text()
    (line,) = re.findall(r"^The lowest versions: (.*?)\n\n", readme, re.DOTALL | re.MULTILINE)
    told = dict(re.findall(r"([A-Za-z][\w-]*) (\d[\d.]*\d|\d+)\b", re.sub(r"\(.*?\)", "", line)))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    versions = dict(re.findall(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", "\n".join(needed)))
    versions |= {"python": project["requires-python"].removeprefix(">=")}
    versions |= {name.lower(): ".".join(map(str, oldest)) for name, oldest in server.OLDEST.items()}
    assert {name.lower(): version for name, version in told.items()} == versions
