"""Walk through every door of a host, as five people, and see what opens to whom.

A second factor is as good as the widest way round it: a token for the API, a password reset that signs in, a forgotten
route. `walk` finds the routes by itself and tries each; the host says only how its sessions are made.

Tests: `tests/testing/test_doors.py`.
"""

from twofold.testing.doors.door import Answer, Door
from twofold.testing.doors.walk import Doors, walk
from twofold.testing.doors.ways import Way

__all__ = ["Answer", "Door", "Doors", "Way", "walk"]
