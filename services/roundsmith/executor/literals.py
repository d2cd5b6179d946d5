"""The values that stand in a test's source: what can be read without running any of it."""

import ast
import operator
from collections.abc import Callable
from typing import Any

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_LARGE, _LARGEST_POWER = 2**53, 16
_CONTAINERS: dict[type[ast.expr], type] = {ast.List: list, ast.Tuple: tuple, ast.Set: set}
INFINITIES = frozenset({"inf", "-inf"})


def literal(node: ast.expr, names: set[str]) -> Any:
    """The value of a literal; of sums, differences, products, quotients and small powers of
    numbers; of sums of strings; of `float("inf")`, whose built-in is then put into `names`. Raises
    ValueError or ArithmeticError for anything else, and TypeError for a key that has no hash.
    """
    match node:
        case ast.BinOp():
            return _calculated(node, names)
        case ast.UnaryOp(op=ast.USub(), operand=ast.BinOp() | ast.Call() as operand):
            return -_number(literal(operand, names))
        case ast.List(elts=members) | ast.Tuple(elts=members) | ast.Set(elts=members):
            return _CONTAINERS[type(node)](literal(member, names) for member in members)
        case ast.Dict(keys=keys, values=values) if None not in keys:
            pairs = zip(keys, values, strict=True)
            return {literal(key, names): literal(value, names) for key, value in pairs if key}
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(word))], keywords=[]):
            if word not in INFINITIES:
                raise ValueError("a number that is read from a text")
            names.add("float")
            return float(word)
    return ast.literal_eval(node)


def _calculated(node: ast.BinOp, names: set[str]) -> Any:
    left, right = literal(node.left, names), literal(node.right, names)
    kinds = {type(left), type(right)}
    if kinds == {str} and isinstance(node.op, ast.Add):
        return left + right
    if type(node.op) in _ARITHMETIC and kinds <= {int, float}:
        small = max(abs(left), abs(right)) < _LARGE
        if isinstance(node.op, ast.Pow):
            small = small and type(right) is int and 0 <= right <= _LARGEST_POWER
        if small:
            return _ARITHMETIC[type(node.op)](left, right)
    return ast.literal_eval(node)  # 2 + 3j


def _number(value: Any) -> Any:
    if type(value) not in (int, float):
        raise ValueError("the negative of what is no number")
    return value
