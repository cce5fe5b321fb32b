"""What it costs to verify a passkey, beside the bare check of its signature and a code of the app together."""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from bench import server
from bench.clients import timed
from bench.population import add_users, settings
from twofold import MFA, base64url
from twofold.schema import commands
from twofold.schema.history import PASSKEYS
from twofold.testing import Clock, VirtualPasskey, enrolled

_ORIGIN = "https://example.com"
_EACH = 50


def ratio(open_: contextlib.ExitStack) -> Callable[[], float]:
    """Make a user who has both on SQLite; what is returned measures the CPU of each by turns, and gives the ratio."""
    engine, chosen = open_.enter_context(server.migrated("sqlite")), settings(public_url=_ORIGIN)
    commands.upgrade(engine, chosen, history=PASSKEYS)
    mfa, (user_id,) = MFA(engine, chosen, clock=Clock()), add_users(engine, 1)
    owner, passkey = enrolled(mfa, user_id), VirtualPasskey(_ORIGIN)
    begun = mfa.passkeys.begin(user_id, account_name="ada@example.com", verified=owner.verified)
    mfa.passkeys.confirm(user_id, passkey.register(begun))
    public_key = passkey.key.public_key()

    def measured() -> float:
        bare, code, whole = [], [], []
        for _ in range(_EACH):
            asked: Any = mfa.challenge(user_id)
            answer = passkey.sign(asked.passkey_options)
            response = json.loads(answer)["response"]
            client_data = base64url.read(response["clientDataJSON"])
            signed = base64url.read(response["authenticatorData"]) + sha256(client_data).digest()
            signature = base64url.read(response["signature"])
            bare.append(timed(public_key.verify, signature, signed, ec.ECDSA(SHA256())).cpu)
            whole.append(timed(mfa.verify, asked.token, answer).cpu)
            asked, typed = mfa.challenge(user_id), owner.code()
            code.append(timed(mfa.verify, asked.token, typed).cpu)
        return statistics.median(whole) / (statistics.median(bare) + statistics.median(code))

    return measured
