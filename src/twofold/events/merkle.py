"""One hash over many leaves: the tree of RFC 6962 §2.1, built as the leaves come. Pure.

A leaf and a node are hashed with different prefixes, so that none can be passed off as the other. Only one hash for
each level is held, however many leaves there are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tree:
    """A tree that grows to the right. `size` counts its leaves."""

    size: int = 0
    # The roots of the full subtrees from left to right, each larger than the next.
    _full: list[bytes] = field(default_factory=list[bytes])

    def add(self, leaf: bytes) -> None:
        """Append a leaf."""
        found = hashlib.sha256(b"\0" + leaf).digest()
        carried = self.size
        while carried & 1:
            found = _node(self._full.pop(), found)
            carried >>= 1
        self._full.append(found)
        self.size += 1

    def root(self) -> bytes:
        """The hash over all leaves so far; over none, the hash of nothing."""
        if not self._full:
            return hashlib.sha256(b"").digest()
        found = self._full[-1]
        for left in reversed(self._full[:-1]):
            found = _node(left, found)
        return found


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
