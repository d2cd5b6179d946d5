"""MBPP+'s inputs as Python values: JSON has lists only, where programs are called with tuples,
sets and complex numbers. Which tasks need what is EvalPlus' own table (evalplus 0.3.1, `data`).
"""

from collections.abc import Callable
from typing import Any

Arguments = list[Any]


def as_called(task_id: str, arguments: Arguments) -> Arguments:
    """The arguments of one call; those of HumanEval+ stay as they are."""
    benchmark, _, number = task_id.partition("/")
    if benchmark.lower() != "mbpp" or not number.isdigit():
        return arguments
    return _RULE_BY_TASK.get(int(number), _same)(arguments)


def _same(arguments: Arguments) -> Arguments:
    return arguments


def _each(arguments: Arguments) -> Arguments:
    return [tuple(each) for each in arguments]


def _members(arguments: Arguments) -> Arguments:
    return [[tuple(member) for member in each] for each in arguments]


def _each_and_members(arguments: Arguments) -> Arguments:
    return [tuple(tuple(member) for member in each) for each in arguments]


def _members_of_first(arguments: Arguments) -> Arguments:
    return [[tuple(member) for member in arguments[0]], *arguments[1:]]


def _first(arguments: Arguments) -> Arguments:
    return [tuple(arguments[0]), *arguments[1:]]


def _second(arguments: Arguments) -> Arguments:
    return [arguments[0], tuple(arguments[1]), *arguments[2:]]


def _sets(arguments: Arguments) -> Arguments:
    """EvalPlus makes an empty member a dict, as `{}` is read."""
    return [[set(member) if isinstance(member, list) and member else {} for member in arguments[0]]]


def _lists_of_first(arguments: Arguments) -> Arguments:
    return [tuple(tuple(m) if isinstance(m, list) else m for m in arguments[0])]


def _values_of_first(arguments: Arguments) -> Arguments:
    return [{key: tuple(value) for key, value in arguments[0].items()}, *arguments[1:]]


def _angle(arguments: Arguments) -> Arguments:
    return [float(arguments[0]), complex(arguments[1])]


def _complex(arguments: Arguments) -> Arguments:
    return [complex(arguments[0])]


def _all_the_way(arguments: Arguments) -> Arguments:
    return [_deep(each) for each in arguments]


def _deep(value: Any) -> Any:
    return tuple(map(_deep, value)) if isinstance(value, list) else value


_TASKS_BY_RULE: dict[Callable[[Arguments], Arguments], tuple[int, ...]] = {
    _each: (
        *(2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424),
        *(429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809),
    ),
    _members: (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780),
    _members_of_first: (75, 413, 444, 753),
    _second: (106, 750),
    _sets: (115,),
    _angle: (124,),
    _first: (250, 307, 405, 446, 617, 720, 763, 808),
    _each_and_members: (259, 401, 445),
    _lists_of_first: (278,),
    _values_of_first: (722,),
    _complex: (252,),
    _all_the_way: (580, 615, 791),
}
_RULE_BY_TASK = {task: rule for rule, tasks in _TASKS_BY_RULE.items() for task in tasks}
