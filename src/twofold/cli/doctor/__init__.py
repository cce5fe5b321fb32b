"""`twofold doctor`, and what it looks at, a file for each idea: plain functions that give checks, or raise MFAError.

Tests: `tests/cli/test_doctor.py`, `tests/cli/test_doctor_faults.py` with `tests/cli/faults`.
"""

from twofold.cli.doctor.doctor import app

__all__ = ["app"]
