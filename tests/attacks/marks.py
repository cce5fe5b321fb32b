"""Which test shows which requirement, and on what: read from the marks of the tests, without running one.

`@pytest.mark.requirement("R7", "R11")` and `@pytest.mark.attack("A3")` stand on a test function.
"""

from __future__ import annotations

import ast
import itertools
from collections import ChainMap, defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tests.databases import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

TESTS = ROOT / "tests"
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
_MARKS = ("requirement", "attack")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, order=True, slots=True)
class Shown:
    """A test that carries a number: `path::name`, the databases that it runs on, and whether through both faces."""

    test: str
    databases: tuple[str, ...]
    on_both_faces: bool


@cache
def shown() -> Mapping[str, list[Shown]]:
    """The tests of each number, in the order of their paths. Raises ValueError for a mark that cannot be read."""
    found: defaultdict[str, list[Shown]] = defaultdict(list)
    shared = _fixtures(_parse(TESTS / "people.py"))
    for path in sorted(TESTS.rglob("test_*.py")):
        module = _parse(path)
        conftests = [folder / "conftest.py" for folder in path.parents if folder.is_relative_to(TESTS)]
        nearest = [_fixtures(_parse(conftest)) for conftest in conftests if conftest.exists()]
        fixtures = ChainMap(_fixtures(module), *nearest, shared)
        everywhere = list(_marks(_module_marks(module)))
        read = 0
        for function in _functions(module):
            marks = list(_marks(function.decorator_list))
            numbered = [numbers for name, numbers in marks if name in _MARKS]
            read += len(numbered)
            if numbered:
                reached = [function, *_reached(function, fixtures)]
                backends = next((names for name, names in (*marks, *everywhere) if name == "backends"), None)
                test = f"{path.relative_to(ROOT).as_posix()}::{function.name}"
                one = Shown(test, _databases(reached, backends), _has_both_faces(reached))
                for number in dict.fromkeys(itertools.chain(*numbered)):
                    found[number].append(one)
        if read != sum(_is_mark(node) for node in ast.walk(module)):
            raise ValueError(f"{path}: a mark with numbers stands on a test function, and spells them out.")
    return found


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _functions(module: ast.Module) -> Iterator[Function]:
    return (node for node in module.body if isinstance(node, Function) and node.name.startswith("test_"))


def _fixtures(module: ast.Module) -> dict[str, Function]:
    made = (node for node in module.body if isinstance(node, Function))
    return {
        node.name: node for node in made if any("pytest.fixture" in ast.unparse(one) for one in node.decorator_list)
    }


def _module_marks(module: ast.Module) -> list[ast.expr]:
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            return node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
    return []


def _marks(expressions: Iterable[ast.expr]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The marks whose arguments are texts alone: name and texts."""
    for expression in expressions:
        match expression:
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="mark"), attr=name), args=args):
                texts = [arg.value for arg in args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
                if texts and len(texts) == len(args):
                    yield name, tuple(texts)
            case _:
                pass


def _is_mark(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Attribute(attr="mark"), attr=name):
            return name in _MARKS
        case _:
            return False


def _asked(function: Function) -> list[str]:
    return [argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)]


def _reached(function: Function, fixtures: ChainMap[str, Function]) -> list[Function]:
    """The fixtures that a test stands on, the nearest definition of each; one that asks for its own name has two."""
    found: list[Function] = []
    waiting = [(name, fixtures) for name in _asked(function)]
    while waiting:
        name, known = waiting.pop()
        if name in known and known[name] not in found:
            fixture = known[name]
            found.append(fixture)
            waiting += [(asked, _outer(known, name) if asked == name else fixtures) for asked in _asked(fixture)]
    return found


def _outer(fixtures: ChainMap[str, Function], name: str) -> ChainMap[str, Function]:
    """What lies outside of the nearest definition of this name."""
    nearest = next(place for place, known in enumerate(fixtures.maps) if name in known)
    return ChainMap(*fixtures.maps[nearest + 1 :])


def _databases(reached: Iterable[Function], backends: tuple[str, ...] | None) -> tuple[str, ...]:
    asked = {name for function in reached for name in _asked(function)}
    if "backend" in asked:
        return tuple(words for name, words in DATABASES.items() if backends is None or name in backends)
    if "databases" in asked:
        # A fixture that goes past `backend` names its database itself.
        constants = (node.value for one in reached for node in ast.walk(one) if isinstance(node, ast.Constant))
        return tuple(
            DATABASES[name] for name in dict.fromkeys(constants) if isinstance(name, str) and name in DATABASES
        )
    return ()


def _has_both_faces(reached: Iterable[Function]) -> bool:
    faces = (function for function in reached if function.name == "face")
    return any("params=" in ast.unparse(decorator) for face in faces for decorator in face.decorator_list)
