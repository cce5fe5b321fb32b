"""What the whole sample shares, where every request finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa
    from fastapi import Request

    from examples.sample.host import SampleHost
    from twofold import MFA


@dataclass(frozen=True, slots=True)
class Sample:
    """The database, the second factor, the sessions as the pages see them, the name of it all, and its address."""

    engine: sa.Engine
    mfa: MFA
    host: SampleHost
    product: str
    public_url: str | None


def sample(request: Request) -> Sample:
    """The one that this request belongs to."""
    found: Sample = request.app.state.sample
    return found
