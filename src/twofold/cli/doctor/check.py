"""One line of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it stands, and what to do next. A note is worth a thought, and is no error."""

    about: str
    state: State
    message: str
    next_step: str | None = None
