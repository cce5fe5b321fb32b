"""Every line that Twofold writes into the log of a process, named once, with the fields that go along.

The name stands in `record.twofold_line` and each field in `record.twofold_<field>`, for collectors that keep what is in
`extra`; the sentence is for people, and may change. No line holds a code, a secret, a token or a key. Lines of a
migration are for whoever runs it, and have no fields.

Tests: `tests/test_lines.py`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from logging import CRITICAL, ERROR, INFO, WARNING
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log: `sentence` takes the fields in their order."""

    name: str
    level: int
    sentence: str
    fields: tuple[str, ...] = ()
    logger: str = "twofold"

    def write(self, *values: Any) -> None:
        """Write it with the values of its fields."""
        extra = {f"twofold_{name}": value for name, value in zip(self.fields, values, strict=True)}
        logger = logging.getLogger(self.logger)
        logger.log(self.level, self.sentence, *values, extra=extra | {"twofold_line": self.name}, stacklevel=2)


_CHANGED = "The row of user %r in user_mfa_secrets was changed outside Twofold, or removed."

ROW_ALTERED = Line("row_altered", CRITICAL, _CHANGED, ("user_id",))
ROWS_ALTERED = Line(
    "rows_altered", CRITICAL, "Rows of user %r in %s were changed outside Twofold.", ("user_id", "table")
)
ROW_WITHOUT_KEY = Line(
    "row_without_key", CRITICAL, "The row of user %r in user_mfa_secrets: %s", ("user_id", "problem")
)
LOG_LONGER = Line(
    "log_longer", CRITICAL, "The log of user %r is longer than the row in user_mfa_secrets says.", ("user_id",)
)
ROW_SECURITY = Line(
    "row_security",
    WARNING,
    "Row security of %s binds this role, and nobody has told Twofold whose rows are asked for: say it %s.",
    ("tables", "ways"),
)
SESSION_UNHEARD = Line(
    "session_unheard",
    WARNING,
    "A listener of Session at after_begin is not heard in Twofold's own transactions: a tenant or a role that it sets, "
    "say %s.",
    ("ways",),
)
SETTING_UNKNOWN = Line(
    "setting_unknown",
    WARNING,
    "%s is no setting of Twofold and is ignored; did you mean %s?",
    ("variable", "meant"),
)
HOOK_FAILED = Line("hook_failed", ERROR, "on_event failed on %s of user %r: %s", ("kind", "user_id", "error"))
HOOK_BEHIND = Line(
    "hook_behind",
    ERROR,
    "on_event is %s events behind: until it has caught up, what happens is told to the log alone.",
    ("waiting",),
)
HOOK_MISSED = Line("hook_missed", ERROR, "%s events were not told to on_event.", ("missed",))
HOOK_NOT_CALLED = Line("hook_not_called", ERROR, "on_event is not called: %s", ("error",))
HOST_FAILED = Line(
    "host_failed", ERROR, "%s %s was not carried out by the host: %s", ("method", "path", "error"), "twofold.web"
)
NOT_AVAILABLE = Line(
    "not_available", ERROR, "%s %s is not available: %s%s", ("method", "path", "error", "problem"), "twofold.web"
)
ACCOUNT_GONE = Line("account_gone", WARNING, "A sign-in was ended: %s", ("problem",), "twofold.web")
HOST_HEADER = Line(
    "host_header",
    WARNING,
    "A browser that is on another site's https address was answered as one on this machine: a proxy replaces the "
    "Host header. Cookies stay Secure where that shows. Set TWOFOLD_PUBLIC_URL to the address that people type.",
    logger="twofold.web",
)
NOT_READY = Line("not_ready", ERROR, "Not ready: %s", ("problem",), "twofold.service")
STAMPED_UNVERIFIED = Line("stamped_unverified", WARNING, "Stamped although %s", ("difference",), "twofold.schema")
ADOPTING = Line("adopting", INFO, "Adopting: %s", ("step",), "twofold.schema")

LINES = tuple(one for one in dict(globals()).values() if isinstance(one, Line))
