"""What it costs to verify a passkey, beside the bare check of its signature and a code of the app together."""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from collections.abc import Callable
from hashlib import sha256

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from bench import server
from bench.population import settings
from twofold import MFA, Challenge, base64url
from twofold.schema import commands
from twofold.schema.history import PASSKEYS
from twofold.testing import Clock, VirtualPasskey, enrolled

_ORIGIN = "https://example.com"
_EACH = 50


def ratio(open_: contextlib.ExitStack) -> Callable[[], float]:
    """Make a user who has both on SQLite; what is returned measures the CPU of each by turns, and gives the ratio."""
    engine, chosen = open_.enter_context(server.migrated("sqlite")), settings(public_url=_ORIGIN)
    commands.upgrade(engine, chosen, history=PASSKEYS)
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO users (id, subject, created_at) VALUES (1, 'ada@example.com', '2026-01-01 00:00:00')")
        )
    mfa = MFA(engine, chosen, clock=Clock())
    owner, passkey = enrolled(mfa, 1), VirtualPasskey(_ORIGIN)
    begun = mfa.passkeys.begin(1, account_name="ada@example.com", verified=owner.verified)
    mfa.passkeys.confirm(1, passkey.register(begun))
    public_key = passkey.key.public_key()

    def measured() -> float:
        bare, code, whole = [], [], []
        for _ in range(_EACH):
            asked = mfa.challenge(1)
            assert isinstance(asked, Challenge)  # noqa: S101 -- Whoever has a factor is challenged.
            token, answer = asked.token, passkey.sign(asked.passkey_options or {})
            response = json.loads(answer)["response"]
            client_data = base64url.read(response["clientDataJSON"])
            signed = base64url.read(response["authenticatorData"]) + sha256(client_data).digest()
            signature = base64url.read(response["signature"])
            bare.append(_cpu(lambda: public_key.verify(signature, signed, ec.ECDSA(SHA256()))))  # noqa: B023
            whole.append(_cpu(lambda: mfa.verify(token, answer)))  # noqa: B023
            asked, typed = mfa.challenge(1), owner.code()
            assert isinstance(asked, Challenge)  # noqa: S101 -- The same.
            token = asked.token
            code.append(_cpu(lambda: mfa.verify(token, typed)))  # noqa: B023
        return statistics.median(whole) / (statistics.median(bare) + statistics.median(code))

    return measured


def _cpu(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began
