"""The revisions, oldest first: 6f65d833c956, 769e76ff65d7."""
