"""Values that hold a secret and are not written down by accident. Pure.

Tests: `tests/attacks/test_leaks_of_values.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self

if TYPE_CHECKING:
    from typing import SupportsIndex


class Confidential:
    """Refuses to be pickled, since queues, caches and session stores pickle whatever they are given.

    What a session keeps is the text of a token, which a caller takes out by name. A copy stays in the process, and that
    of a frozen value is the value. `dataclasses.asdict` takes everything out, which is what it is for.
    """

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a secret and is not pickled; take out what is to be kept.")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object], /) -> Self:
        return self
