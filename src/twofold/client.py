"""A client of the JSON door for programs in Python that have a bearer token: apps, scripts and tests of a host.

    def send(method, path, headers, body):
        answer = httpx.request(method, f"https://example.com/mfa{path}", headers=headers, content=body)
        return answer.status_code, answer.content

    client = Client(send, authorization=lambda: f"Bearer {token}")
    client.status().account

Whatever sends requests serves; nothing is imported for it. What is refused is raised as `Refused`.

Tests: `tests/web/api/test_client.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from twofold.confidential import Confidential
from twofold.web.api import models

Send = Callable[[str, str, Mapping[str, str], bytes | None], tuple[int, bytes]]
"""Sends a request, of a method, a path below the prefix, headers and a body; returns status and body of the answer."""

T = TypeVar("T", bound=models.Answered)


class Refused(Exception):
    """What was asked for was refused; `problem` says why, and its `detail` is for the person."""

    def __init__(self, problem: models.Problem) -> None:
        super().__init__(f"{problem.title} ({problem.reason})")
        self.problem = problem


class Client(Confidential):
    """The operations of one user's app. It keeps the proof and the token of the device; nothing else.

    `authorization` gives the header of that name for each request, or None before the login is over. `language` is that
    of `detail`, as `de`. `device_token` is what this device has kept, for `answer`, which puts the newer one there.
    """

    def __init__(
        self,
        send: Send,
        *,
        authorization: Callable[[], str | None],
        language: str | None = None,
        device_token: str | None = None,
    ) -> None:
        self._send, self._authorization, self._language = send, authorization, language
        self.device_token = device_token
        self.proof: str | None = None

    def __repr__(self) -> str:
        return "Client()"

    def status(self) -> models.Standing:
        """Who the token belongs to, and what may be done without a further code."""
        return self._ask("GET", "/status", models.Standing)

    def answer(self, challenge: str, code: str, *, trust_device: bool = False) -> models.Passed:
        """Answer the challenge that the application's login gave. Its own new token stands in `session`."""
        sent = models.Answering(
            code=code, challenge=challenge, trust_device=trust_device, device_token=self.device_token
        )
        return self._passed(self._ask("POST", "/challenge", models.Passed, sent))

    def answer_by_passkey(
        self, challenge: str, passkey: Mapping[str, Any], *, trust_device: bool = False
    ) -> models.Passed:
        """Answer it with what a passkey signed: the JSON of the credential."""
        sent = models.Signing(
            passkey=dict(passkey), challenge=challenge, trust_device=trust_device, device_token=self.device_token
        )
        return self._passed(self._ask("POST", "/challenge/passkey", models.Passed, sent))

    def _passed(self, passed: models.Passed) -> models.Passed:
        self.proof = passed.proof
        if passed.device is not None:
            self.device_token = passed.device.token
        return passed

    def reverify(self, code: str) -> models.Proven:
        """Give a code, so that changes are allowed for a few minutes."""
        proven = self._ask("POST", "/reverify", models.Proven, models.Coded(code=code))
        self.proof = proven.proof
        return proven

    def ask_passkey(self) -> models.Ceremony:
        """What a passkey is to sign, so that changes are allowed for a few minutes."""
        return self._ask("GET", "/reverify/passkey", models.Ceremony)

    def reverify_by_passkey(self, passkey: Mapping[str, Any]) -> models.Proven:
        """Give what it signed."""
        proven = self._ask("POST", "/reverify/passkey", models.Proven, models.Signed(passkey=dict(passkey)))
        self.proof = proven.proof
        return proven

    def passkeys(self) -> models.Passkeys:
        """The passkeys, and whether one can be registered here."""
        return self._ask("GET", "/passkeys", models.Passkeys)

    def begin_passkey(self) -> models.Ceremony:
        """Ask for a new passkey."""
        return self._ask("POST", "/passkey/begin", models.Ceremony)

    def confirm_passkey(self, passkey: Mapping[str, Any], *, name: str | None = None) -> models.RegisteredPasskey:
        """Give what the platform made. Backup codes are new where it is the first factor."""
        sent = models.Registering(passkey=dict(passkey), name=name)
        registered = self._ask("POST", "/passkey/confirm", models.RegisteredPasskey, sent)
        self.proof = registered.proven.proof
        return registered

    def rename_passkey(self, passkey_id: int, name: str) -> models.Done:
        """Give one of them a name."""
        return self._ask("PATCH", f"/passkeys/{passkey_id:d}", models.Done, models.Naming(name=name))

    def revoke_passkey(self, passkey_id: int) -> models.Done:
        """End one of them; the last factor stays."""
        return self._ask("DELETE", f"/passkeys/{passkey_id:d}", models.Done)

    def revoke_passkeys(self) -> models.Done:
        """End all of them, where an app goes on."""
        return self._ask("DELETE", "/passkeys", models.Done)

    def disable(self) -> models.Done:
        """Turn the second factor off: app, passkeys, backup codes and devices go."""
        return self._ask("POST", "/disable", models.Done)

    def begin_totp(self) -> models.Enrollment:
        """Make a secret for an authenticator app."""
        return self._ask("POST", "/totp/begin", models.Enrollment)

    def pending_totp(self) -> models.Enrollment:
        """The secret that waits for its first code, once more."""
        return self._ask("GET", "/totp/pending", models.Enrollment)

    def confirm_totp(self, code: str) -> models.Confirmed:
        """Give the first code of the app. The backup codes are new."""
        confirmed = self._ask("POST", "/totp/confirm", models.Confirmed, models.Coded(code=code))
        if confirmed.proven is not None:
            self.proof = confirmed.proven.proof
        return confirmed

    def disable_totp(self) -> models.Done:
        """End the app; where no passkey goes on, the second factor as a whole."""
        return self._ask("POST", "/totp/disable", models.Done)

    def backup_codes(self) -> models.BackupCodes:
        """How many are left, and the new ones until they are kept."""
        return self._ask("GET", "/backup-codes", models.BackupCodes)

    def regenerate_backup_codes(self) -> models.BackupCodes:
        """Make new ones; the old ones end."""
        return self._ask("POST", "/backup-codes", models.BackupCodes)

    def keep_backup_codes(self) -> models.BackupCodes:
        """Say that the new ones are kept."""
        return self._ask("POST", "/backup-codes/kept", models.BackupCodes)

    def devices(self) -> models.Devices:
        """The devices that may skip the code for a while."""
        return self._ask("GET", "/devices", models.Devices)

    def rename_device(self, device_id: int, name: str) -> models.Done:
        """Give one of them a name."""
        return self._ask("PATCH", f"/devices/{device_id:d}", models.Done, models.Naming(name=name))

    def revoke_device(self, device_id: int) -> models.Done:
        """Stop trusting one of them."""
        return self._ask("DELETE", f"/devices/{device_id:d}", models.Done)

    def revoke_devices(self) -> models.Done:
        """Stop trusting all of them."""
        return self._ask("DELETE", "/devices", models.Done)

    def events(self, *, before: int | None = None, limit: int = 20) -> models.Events:
        """What has happened, the newest first; `before` is what the page before ended with."""
        since = "" if before is None else f"&before={before:d}"
        return self._ask("GET", f"/events?limit={limit:d}{since}", models.Events)

    def _ask(self, method: str, path: str, answer: type[T], sent: models.Taken | None = None) -> T:
        given = {
            "Authorization": self._authorization(),
            "Twofold-Proof": self.proof,
            "Twofold-Device": self.device_token if path == "/devices" and method == "GET" else None,
            "Accept-Language": self._language,
            "Content-Type": None if sent is None else "application/json",
        }
        headers = {name: value for name, value in given.items() if value is not None}
        body = None if sent is None else sent.model_dump_json(exclude_none=True).encode()
        status, text = self._send(method, f"/api{path}", headers, body)
        if status != 200:
            raise Refused(models.Problem.model_validate_json(text))
        return answer.model_validate_json(text)
