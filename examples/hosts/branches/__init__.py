"""One history with two branches: the shop's revisions and Twofold's."""
