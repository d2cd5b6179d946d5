"""Head, entry point and reference of a user's own row: checked where given, else derived."""

import ast
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from roundsmith.benchmarks.heads import Def, arrange, parse, unix_lines
from roundsmith.benchmarks.own_tests import OwnTest, assert_sources, is_script
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.scripts import SCRIPT_HEAD, as_script

END_WITH_DEF = "code that ends with a def line at the top level"


@dataclass(frozen=True, slots=True)
class OwnCode:
    """What the model is given, what tests call, and a reference that begins with the head."""

    head: str
    entry_point: str
    reference: str | None


def own_code(
    head: str | None,
    reference: str | None,
    entry_point: str | None,
    tests: Sequence[OwnTest],
    setup: str,
) -> OwnCode:
    """The three, made to agree. Raises BadField where they do not or too little is given."""
    parse(setup, "setup")
    if head is None and is_script(tests):
        head = SCRIPT_HEAD
    if head is not None:
        given = _signature(head)
        name = given.name
    else:
        given, name = None, entry_point or _only_function(reference)
    if entry_point not in (None, name):
        raise BadField("entry_point", shown(entry_point), f"{name!r}, the last def of the head")
    if reference is None:
        assert head is not None
        return OwnCode(_closed(head), name, None)
    if is_script(tests):
        reference = as_script(reference, name)
    names = frozenset(_names([setup, *assert_sources(tests)]))
    arranged = arrange(reference, name, names, "reference")
    if given is None or head is None:
        return OwnCode(arranged.head, name, arranged.reference)
    _same_parameters(given, _signature(arranged.head))
    closed = _closed(head)
    return OwnCode(closed, name, closed + arranged.reference.removeprefix(arranged.head))


def _closed(head: str) -> str:
    text = unix_lines(head).rstrip()
    return text if text.endswith(":") else f"{text}:"


def _signature(head: str) -> Def:
    """The def that a head ends with."""
    last = parse(f"{_closed(head)}\n    pass\n", "head", END_WITH_DEF).body[-1]
    if not isinstance(last, Def) or not isinstance(last.body[0], ast.Pass):
        raise BadField("head", shown(head), END_WITH_DEF)
    return last


def _only_function(reference: str | None) -> str:
    if reference is None:
        raise BadField("signature", "neither signature, head nor reference", "one of them")
    names = [node.name for node in parse(reference, "reference").body if isinstance(node, Def)]
    if len(names) != 1:
        raise BadField(
            "entry_point",
            f"no entry_point, and a reference that defines {names}",
            "the one to call",
        )
    return names[0]


def _same_parameters(given: Def, reference: Def) -> None:
    saw, expected = (
        [arg.arg for arg in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs)]
        for f in (reference, given)
    )
    if saw != expected:
        raise BadField("reference", f"parameters {saw}", f"those of the signature, {expected}")


def _names(sources: list[str]) -> Iterator[str]:
    """The names that sources use; one that is no Python is left for `own_tests` to refuse."""
    for source in sources:
        with suppress(BadField):
            nodes = ast.walk(parse(source, "tests"))
            yield from (node.id for node in nodes if isinstance(node, ast.Name))
