"""One history: the four tables come by a revision of the shop's own."""
