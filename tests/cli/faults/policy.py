"""Settings that weaken a default."""

from __future__ import annotations

from tests.cli.faults.fault import FILE, Faults, Sick

FAULTS = Faults()


@FAULTS.add(
    "odds of a guess before the suspension",
    "guess odds",
    "note",
    "at most 0.05 % ever",
    "More TWOFOLD_DIGITS, a smaller TWOFOLD_WINDOW or TWOFOLD_SUSPEND_AFTER lower it.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(window="2", suspend_after="100")


@FAULTS.add(
    "odds of a guess in a year",
    "guess odds",
    "note",
    "at most 1.6 % in a year",
    "A smaller TWOFOLD_FAILURE_LIMIT or a longer TWOFOLD_FAILURE_MEMORY lower the year's.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(failure_memory="P7D")


@FAULTS.add(
    "a budget that is spent within a day",
    "guess odds",
    "note",
    "needs 0.0 days for all 100",
    "A longer TWOFOLD_FIRST_WAIT and TWOFOLD_LONGEST_WAIT leave the owner at least a day to notice.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(first_wait="1", longest_wait="1")


@FAULTS.add("a code that lives long", "policy", "note", "TWOFOLD_WINDOW is 2: a code lives 150 s.", on=FILE)
def _(sick: Sick) -> None:
    sick.set(window="2")


@FAULTS.add(
    "many wrong codes without a wait",
    "policy",
    "note",
    "TWOFOLD_FREE_FAILURES is 10: so many codes cost no wait.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(free_failures="10")


@FAULTS.add("a first wait of a second", "policy", "note", "TWOFOLD_FIRST_WAIT is 1 s: a program hardly waits.", on=FILE)
def _(sick: Sick) -> None:
    sick.set(first_wait="1")


@FAULTS.add(
    "a longest wait of a second", "policy", "note", "TWOFOLD_LONGEST_WAIT is 1 s: no wait grows beyond it.", on=FILE
)
def _(sick: Sick) -> None:
    sick.set(first_wait="1", longest_wait="1")


@FAULTS.add(
    "trusted devices for months",
    "policy",
    "note",
    "TWOFOLD_DEVICE_LIFETIME: a trusted device skips the second factor for over 90 days.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(device_lifetime="P100D")


@FAULTS.add(
    "a long time for which an old device token serves",
    "policy",
    "note",
    "TWOFOLD_DEVICE_GRACE is 300 s: a copied cookie serves beside the real one.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(device_grace="300")


@FAULTS.add(
    "a proof that lasts long",
    "policy",
    "note",
    "TWOFOLD_PROOF_MAX_AGE: a proven factor allows its own management for over 15 minutes.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(proof_max_age="PT1H")


@FAULTS.add(
    "pages for this machine alone",
    "public URL",
    "note",
    "TWOFOLD_PUBLIC_URL is http://localhost:8000: cookies are not Secure",
    "Set it to the https address that people type.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(public_url="http://localhost:8000")


@FAULTS.add(
    "a public address without https",
    "settings",
    "wrong",
    "TWOFOLD_PUBLIC_URL",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(public_url="http://example.com")
