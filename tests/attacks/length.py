"""How long the races and crashes go on: 1 in the suite, 10 with `make attack`."""

from __future__ import annotations

import os
from typing import Final

LENGTH: Final = int(os.environ.get("TWOFOLD_ATTACK_LENGTH", "1"))
