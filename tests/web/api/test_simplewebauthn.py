"""Passkeys by a client that is not ours: @simplewebauthn/browser, in Chromium, with an authenticator of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi.responses import HTMLResponse, PlainTextResponse

from tests.chrome import chrome
from tests.databases import add_passkeys
from tests.people import plain_settings
from tests.served import served
from tests.typescript import WEBAUTHN
from tests.web.api.host import build
from twofold import MFA

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from tests.databases import Database
    from tests.people import Clock

pytestmark = pytest.mark.backends("sqlite")

_AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
# What a page of an application would do: our JSON in, their client, our JSON out.
_STORY = """async () => {
  const { startRegistration, startAuthentication } = SimpleWebAuthnBrowser;
  let csrf = null;
  const ask = async (method, path, body) => {
    const headers = body ? { "Content-Type": "application/json" } : {};
    if (csrf) headers["X-CSRF-Token"] = csrf;
    const answer = await fetch(`/mfa/api${path}`, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
    return answer.json();
  };
  const login = async () => {
    await fetch("/login", { method: "POST" });
    csrf = (await ask("GET", "/status")).csrf_token;
  };
  await login();
  const begun = await ask("POST", "/passkey/begin");
  const made = await startRegistration({ optionsJSON: begun.options });
  const registered = await ask("POST", "/passkey/confirm", { passkey: made, name: "By their client" });
  await login();
  const challenge = await ask("GET", "/challenge");
  const signed = await startAuthentication({ optionsJSON: challenge.passkey_options });
  const passed = await ask("POST", "/challenge/passkey", { passkey: signed });
  csrf = (await ask("GET", "/status")).csrf_token;
  const again = await startAuthentication({ optionsJSON: (await ask("GET", "/reverify/passkey")).options });
  const stepped = await ask("POST", "/reverify/passkey", { passkey: again });
  return { name: registered.passkey.name, codes: registered.backup_codes.length, amr: passed.amr, then: stepped.amr };
}"""


class _Late:
    """An application that is made once its address is known: passkeys belong to it."""

    app: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.mark.usefixtures("compiler")
def test_a_client_that_is_not_ours_registers_and_signs_in(
    migrated: Database, keys: str, clock: Clock, ada_id: int
) -> None:
    add_passkeys(migrated)
    late = _Late()
    with served(late) as url, chrome() as browser:
        mfa = MFA(migrated.engine(), plain_settings(keys=keys, public_url=url), clock=clock)
        late.app, _ = build(mfa, ada_id)
        late.app.get("/client.js")(lambda: PlainTextResponse(WEBAUTHN.read_text("utf-8"), media_type="text/javascript"))
        late.app.get("/")(lambda: HTMLResponse("<title>An application</title><script src=/client.js></script>"))
        page = browser.new_page()
        devices = page.context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        devices.send("WebAuthn.addVirtualAuthenticator", {"options": _AUTHENTICATOR})
        page.goto(url)
        told = page.evaluate(_STORY)
    proven = ["pwd", "hwk", "user", "mfa"]
    assert told == {"name": "By their client", "codes": 10, "amr": proven, "then": proven}
    (passkey,) = mfa.passkeys.list(ada_id)
    assert passkey.last_used_at is not None
