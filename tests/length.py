"""How much a run of the tests tries: 1 in the suite, 10 in `make attack`. Races and crashes go on for so long.

In `.ci/run`, where everything has to be there, and over 1 nothing takes turns: what the suite shows for one of many is
shown for all.
"""

from __future__ import annotations

import os
from typing import Final

LENGTH: Final = int(os.environ.get("TWOFOLD_ATTACK_LENGTH", "1"))
IS_WHOLE: Final = LENGTH > 1 or os.environ.get("TWOFOLD_REQUIRE_ALL") == "1"
