"""The same work done by others in the same run: `make bench-peers`."""
