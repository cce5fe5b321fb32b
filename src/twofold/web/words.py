"""Text in the shape that the eye can keep. Pure."""

from __future__ import annotations


def groups(text: str, size: int = 4) -> list[str]:
    """A secret in groups that the eye can keep."""
    return [text[start : start + size] for start in range(0, len(text), size)]
