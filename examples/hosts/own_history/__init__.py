"""Two histories: the shop's own, and Twofold's beside it."""
