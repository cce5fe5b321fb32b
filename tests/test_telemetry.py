"""Spans and counts of the real OpenTelemetry SDK, on both faces, with nothing in them that is anybody's secret."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.databases import ROOT

if TYPE_CHECKING:
    from tests.databases import Database

# The providers of a process are set once, so each story has a process of its own.
_STORY = """
import asyncio, json, sys

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))

from tests.people import Blocked, Clock, challenged, enroll, plain_settings
import twofold
from twofold import MFA, AsyncMFA, MFAError
from twofold.database import create_async_engine, create_engine

url, face, keys, ada = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
engine, clock, secret, frames = create_engine(url), Clock(), [], []
with asyncio.Runner() as runner:
    if face == "blocking":
        mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    else:
        awaited = create_async_engine(url)
        mfa = Blocked(AsyncMFA(awaited, plain_settings(keys=keys), clock=clock), runner)

    def refused(ask):
        try:
            ask()
        except MFAError as error:
            frame = error.__traceback__
            while frame is not None:
                is_ours = frame.tb_frame.f_code.co_filename.startswith(twofold.__path__[0])
                frames.append(repr(frame.tb_frame.f_locals) if is_ours else "")
                frame = frame.tb_next
        else:
            raise AssertionError("It was not refused.")

    def request():
        return trace.get_tracer("host").start_as_current_span("a request of the host's")

    async def awaits():
        with request() as span:
            await mfa._face.challenge(ada)
        return span

    if face == "blocking":
        with request() as parent:
            mfa.challenge(ada)
    else:
        parent = runner.run(awaits())
    enrolment = enroll(mfa, ada, clock)
    token, wrong, right = challenged(mfa, ada), enrolment.phone.wrong_code(), enrolment.phone.code()
    refused(lambda: mfa.verify(token, wrong))
    verified = mfa.verify(token, right)
    device = mfa.trusted_devices.trust(verified)
    mfa.trusted_devices.rename(ada, device.device_id, name="at home")
    refused(lambda: mfa.challenge(ada + 1000))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_mfa_secrets SET failed_attempts = 77")
    refused(lambda: mfa.status(ada))
    if face == "awaited":
        runner.run(awaited.dispose())

told = [
    {
        "name": one.name,
        "attributes": dict(one.attributes),
        "status": one.status.status_code.name,
        "events": len(one.events),
        "is_child": one.parent is not None and one.parent.span_id == parent.get_span_context().span_id,
    }
    for one in spans.get_finished_spans()
]
points = [
    [dict(point.attributes), point.value]
    for of in reader.get_metrics_data().resource_metrics
    for scope in of.scope_metrics
    for metric in scope.metrics
    for point in metric.data.data_points
    if metric.name == "twofold.operations"
]
secrets = [token, wrong, right, verified.token, enrolment.phone.secret, *enrolment.backup_codes]
print(json.dumps({"spans": told, "points": points, "secrets": secrets, "frames": frames}))
"""


def story(database: Database, face: str, keys: str, user_id: int) -> Any:
    command = [sys.executable, "-c", _STORY, database.url, face, keys, str(user_id)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_operation_has_a_span_and_is_counted_by_what_came_of_it(
    migrated: Database, face: str, keys: str, ada: int
) -> None:
    told = story(migrated, face, keys, ada)
    spans = [one for one in told["spans"] if one["name"].startswith("twofold.")]
    found = [(one["name"].removeprefix("twofold."), *one["attributes"].values(), one["status"]) for one in spans]
    assert found == [
        ("challenge", "cleared", "not_enrolled", "UNSET"),
        ("totp.begin", "done", "UNSET"),
        ("totp.confirm", "done", "UNSET"),
        ("challenge", "challenged", "UNSET"),
        ("verify", "refused", "wrong_code", "UNSET"),
        ("verify", "verified", "totp", "UNSET"),
        ("trusted_devices.trust", "done", "UNSET"),
        ("trusted_devices.rename", "done", "UNSET"),
        ("challenge", "refused", "UnknownUser", "UNSET"),
        ("status", "error", "Tampered", "ERROR"),
    ]
    assert [one["is_child"] for one in spans] == [True] + [False] * 9
    points = {tuple(sorted(attributes.values())): value for attributes, value in told["points"]}
    assert points["refused", "verify", "wrong_code"] == 1
    assert sum(points.values()) == len(spans)


@pytest.mark.backends("sqlite")
def test_nothing_secret_and_no_user_is_in_a_span_a_count_or_a_frame(
    migrated: Database, face: str, keys: str, ada: int
) -> None:
    told = story(migrated, face, keys, ada)
    assert all(one["events"] == 0 for one in told["spans"])
    said = json.dumps([told["spans"], told["points"], told["frames"]])
    assert not [secret for secret in told["secrets"] if secret in said]
    attributes = {key for one in told["spans"] for key in one["attributes"]}
    assert attributes <= {"twofold.outcome", "twofold.reason", "twofold.factor", "error.type"}


_WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from tests.people import plain_settings
from twofold import MFA
from twofold.database import create_engine
mfa = MFA(create_engine(sys.argv[1]), plain_settings(keys=sys.argv[2]))
mfa.status(int(sys.argv[3]))
assert mfa.status.func.__name__ == "_perform"
"""


@pytest.mark.backends("sqlite")
def test_without_the_package_nothing_stands_in_between(migrated: Database, keys: str, ada: int) -> None:
    command = [sys.executable, "-c", _WITHOUT, migrated.url, keys, str(ada)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)


_UNHEARD = """
import sys
from tests.people import plain_settings
from twofold import MFA
from twofold.database import create_engine

def observed(*_):
    raise AssertionError("A span is opened that nobody sees.")

import twofold.operation
twofold.operation.observed = observed
mfa = MFA(create_engine(sys.argv[1]), plain_settings(keys=sys.argv[2]))
mfa.status(int(sys.argv[3]))
assert mfa.status.func.__name__ == "_observed"
"""


@pytest.mark.backends("sqlite")
def test_where_no_sdk_is_set_up_no_span_is_opened(migrated: Database, keys: str, ada: int) -> None:
    command = [sys.executable, "-c", _UNHEARD, migrated.url, keys, str(ada)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)


_LATER = """
import sys
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.people import plain_settings
from twofold import MFA
from twofold.database import create_engine

mfa, user_id = MFA(create_engine(sys.argv[1]), plain_settings(keys=sys.argv[2])), int(sys.argv[3])
spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
mfa.status(user_id)
if sys.argv[4] == "spans":
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    mfa.status(user_id)
    assert [one.name for one in spans.get_finished_spans()] == ["twofold.status"]
else:
    metrics.set_meter_provider(MeterProvider([reader]))
    mfa.status(user_id)
    assert reader.get_metrics_data() is not None
"""


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("what", ["spans", "counts"])
def test_an_sdk_that_is_set_up_after_the_first_operation_is_heard(
    migrated: Database, keys: str, ada: int, what: str
) -> None:
    command = [sys.executable, "-c", _LATER, migrated.url, keys, str(ada), what]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
