"""What strangers send: any text at all, things that are no text, and what was issued with a few letters changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import HealthCheck, example, settings
from hypothesis import strategies as st

from tests.length import LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

R = TypeVar("R")
T = TypeVar("T", bound="Callable[..., Any]")
E = TypeVar("E", bound=Exception)

# Every character that Python knows, and those more often that somebody somewhere has tripped over.
characters = st.one_of(
    st.characters(exclude_categories=()), st.sampled_from("\0\ud800\udfff\u202e\ufeff\uffff\r\n\x1b é😀'\"\\%_;~:=<&+")
)
texts = st.text(characters, max_size=40)
huge = st.builds(lambda text, times: text * times, st.text(characters, min_size=1, max_size=5), st.integers(1, 20_000))
objects: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(max_size=40),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
anything = st.one_of(texts, huge, objects)


@st.composite
def spoilt(draw: Callable[[st.SearchStrategy[Any]], Any], issued: str) -> str:
    """What was issued, with a piece of it left out, doubled, put in from elsewhere or written otherwise."""
    first = draw(st.integers(0, len(issued)))
    last = draw(st.integers(first, min(len(issued), first + 8)))
    piece = issued[first:last]
    changed: str = draw(
        st.one_of(
            st.just(""),
            st.just(piece * 2),
            st.just(piece.swapcase()),
            st.just(piece[::-1]),
            st.text(characters, max_size=4),
            st.text("0123456789abcdefABCDEF-_~:=.", max_size=4),
        )
    )
    return issued[:first] + changed + issued[last:]


def named(test: T, values: Iterable[object]) -> T:
    """Try these besides, each time."""
    for value in values:
        test = example(value)(test)
    return test


def attempt(operation: Callable[[], R], *refusals: type[E]) -> tuple[R | None, E | None]:
    """What came of it: a value, or one of the refusals that may be. Every other error is a failure of the test."""
    try:
        return operation(), None
    except refusals as refused:
        return None, refused


def often(examples: int) -> settings:
    """So many examples, and ten times as many in `make attack`. A failure says how to make it happen again."""
    return settings(
        max_examples=examples * LENGTH,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
            HealthCheck.function_scoped_fixture,
            HealthCheck.large_base_example,
            HealthCheck.too_slow,
        ],
    )
