"""Rows of before Twofold: when they come into care, and what is in force then."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.attacks.intruder import CODES, DEVICES, SECRETS
from tests.attacks.rows import moment
from tests.attacks.truth import Cookie, Truth, read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tests.attacks.rows import Shot, Tables


def were_adopted(tables: Tables, before: Shot, now: Shot) -> bool:
    """Whether rows of before came into care just now: with a row of their own that nothing sealed, or without."""

    def is_sealed(shot: Shot) -> bool:
        return any(tables.get(SECRETS, row, "state_mac") is not None for row in shot[SECRETS])

    return is_sealed(now) and any(before.values()) and not is_sealed(before)


def have_ours_among_them(tables: Tables, shot: Shot) -> bool:
    """Whether Twofold wrote one of these rows."""
    return any(tables.is_ours(name, row) for name, rows in shot.items() for row in rows)


def adopted(tables: Tables, before: Shot, papers: Iterable[str], *, is_touched: bool) -> Truth:
    """What is in force once the rows that stood there are taken for what they say."""
    get = tables.get
    row = next(iter(before[SECRETS]), None)
    codes: dict[str, datetime | None] = {}
    known = {hashlib.sha256(read(paper).encode()).hexdigest(): read(paper) for paper in papers}
    for code in before[CODES]:
        if tables.is_live(CODES, code) and get(CODES, code, "code_hash") in known:
            codes[known[get(CODES, code, "code_hash")]] = moment(get(CODES, code, "expires_at"))
    cookies = [
        Cookie(one[0], (get(DEVICES, one, "trust_token"),), until, used_at + timedelta(days=36500), None)
        for one in before[DEVICES]
        if tables.is_live(DEVICES, one)
        and (until := moment(get(DEVICES, one, "trusted_until")))
        and (used_at := moment(get(DEVICES, one, "created_at")))
    ]
    return Truth(
        secret=get(SECRETS, row, "secret") if row and get(SECRETS, row, "is_enabled") else None,
        step=(get(SECRETS, row, "last_used_step") if row else None) or -1,
        codes=codes,
        cookies=tuple(cookies),
        are_cookies_sure=False,
        are_codes_sure=not is_touched,
        is_app_sure=not is_touched,
    )


def leave(tables: Tables, user: int, *, expired: bool) -> tuple[str, tuple[str, ...], str]:
    """A user as an application without Twofold left her: the secret of the app, codes on paper, a cookie."""
    secret = base64.b32encode(hashlib.sha1(str(user).encode()).digest()).decode()
    papers, cookie = (f"ABCD-2{user:03}", f"EFGH-6{user:03}", f"JKMN-7{user:03}"), f"raw-cookie-{user}"
    at = tables.moment("2026-11-01 08:00:00.000000")
    tables.add(SECRETS, user_id=user, secret=secret, is_enabled=True, is_verified=True, created_at=at, updated_at=at)
    for number, paper in enumerate(papers):
        ends = tables.moment("2026-11-10 08:00:00.000000") if expired and number == 2 else None
        digest = hashlib.sha256(read(paper).encode()).hexdigest()
        tables.add(CODES, user_id=user, code_hash=digest, is_used=number == 1, created_at=at, expires_at=ends)
    tables.add(
        DEVICES,
        user_id=user,
        device_fingerprint="f00",
        trust_token=cookie,
        trusted_until=tables.moment("2026-12-20 08:00:00.000000"),
        last_used_at=tables.moment("2026-11-20 08:00:00.000000"),
        created_at=at,
        usage_count=0,
    )
    return secret, papers, cookie
