"""The revisions, oldest first: b1f04c7d29ae."""
