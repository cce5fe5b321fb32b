"""A span and a count for each operation, where the package `opentelemetry-api` is installed; else nothing at all.

Neither says who the user is, nor what was typed or raised: the name of the operation, what came of it and why. Where
the host has set up no SDK, the package itself does nothing.

Tests: `tests/test_telemetry.py`.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from twofold.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    MFAError,
    MissingKey,
    Rejected,
    SchemaDrift,
    Tampered,
)
from twofold.outcomes import Challenge, Cleared, Verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What a person has to mend, and no user.
_OUTAGES: Final = (ConfigurationError, DatabaseUnavailable, MissingKey, SchemaDrift, Tampered)
_DOES_NOTHING: Final = ("opentelemetry.trace", "opentelemetry.metrics")


class Telemetry(NamedTuple):
    """What the package gives for the length of a process."""

    tracer: Any
    counter: Any
    failed: Any
    providers: tuple[Callable[[], object], ...]
    traces: dict[str, Any]
    meters: dict[str, Any]


@cache
def telemetry() -> Telemetry | None:
    """Find the package; None where it is not installed."""
    try:
        from opentelemetry import metrics, trace
    except ImportError:
        return None
    counter = metrics.get_meter("twofold").create_counter(
        "twofold.operations", unit="{operation}", description="What came of the operations of Twofold."
    )
    providers = (trace.get_tracer_provider, metrics.get_meter_provider)
    tracer, failed = trace.get_tracer("twofold"), trace.Status(trace.StatusCode.ERROR)
    return Telemetry(tracer, counter, failed, providers, *(provider.__globals__ for provider in providers))


def is_heard(found: Telemetry) -> bool:
    """Whether the host has set up an SDK: the package's own providers do nothing, and not even that for nothing."""
    # Where none is set, the package reads the environment for each answer; one of other names is asked all the same.
    if found.traces.get("_TRACER_PROVIDER", found) is None and found.meters.get("_METER_PROVIDER", found) is None:
        return False
    return not all(type(provider()).__module__.startswith(_DOES_NOTHING) for provider in found.providers)


@contextmanager
def observed(found: Telemetry, name: str) -> Iterator[Callable[[object], None]]:
    """Open a span for one operation; what is given to the function is its answer, or the error in its place."""

    def note(answer: object) -> None:
        told = _told(answer)
        for key, value in told.items():
            span.set_attribute(key, value)
        if told["twofold.outcome"] == "error":
            span.set_status(found.failed)
        found.counter.add(1, told | {"twofold.operation": name})

    # The text of an error may hold what is the host's, so none is recorded.
    with found.tracer.start_as_current_span(
        f"twofold.{name}", record_exception=False, set_status_on_exception=False
    ) as span:
        yield note


def _told(answer: object) -> dict[str, str]:
    match answer:
        case Challenge():
            return {"twofold.outcome": "challenged"}
        case Cleared():
            return {"twofold.outcome": "cleared", "twofold.reason": answer.because}
        case Verified():
            return {"twofold.outcome": "verified", "twofold.factor": answer.factor}
        case Rejected():
            return {"twofold.outcome": "refused", "twofold.reason": str(answer.reason)}
        case MFAError() if not isinstance(answer, _OUTAGES):
            return {"twofold.outcome": "refused", "error.type": type(answer).__name__}
        case BaseException():
            return {"twofold.outcome": "error", "error.type": type(answer).__name__}
        case _:
            return {"twofold.outcome": "done"}
