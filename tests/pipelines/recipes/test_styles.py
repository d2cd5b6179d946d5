"""Prompts, and the programs that completions stand for."""

import ast
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roundsmith.errors import ConfigError
from roundsmith.recipes.contract import sample_example
from roundsmith.recipes.styles import (
    ChatStyle,
    CompletionStyle,
    Demonstration,
    reference_body,
    style_of,
    whole_answer,
    without_docstrings,
)
from roundsmith.types import ChatMessage, Example, Kind, Sample
from tests.pipelines.recipes.groups import TASK, code, group

DEMO = Demonstration("def f():\n    return 1", "Give one.")


def test_the_completion_prompt_is_the_head_and_an_indented_docstring() -> None:
    assert CompletionStyle().code(TASK, "Double it.") == (
        'def solve(x: int) -> int:\n    """ Double it. """\n'
    )


def test_an_example_travels_in_the_docstring() -> None:
    task = replace(TASK, example=">>> solve(1)\n2")
    assert CompletionStyle().code(task, "Double it.") == (
        'def solve(x: int) -> int:\n    """ Double it.\n    >>> solve(1)\n    2\n    """\n'
    )


def test_a_description_can_not_end_the_docstring() -> None:
    program = CompletionStyle().program(TASK, 'x """\nimport os\n"""', "    return x")
    assert compile(program, "p", "exec")
    assert program.count('"""') == 2


@example("the sum \\underline{a} in C:\\Users\\N \\x4", '>>> f("""a""")\n\\')
@example("a\0b", None)
@given(st.text(), st.none() | st.text())
def test_whatever_a_description_says_its_programs_are_python(
    description: str, shown: str | None
) -> None:
    task = replace(TASK, example=shown)
    program = CompletionStyle().program(task, description, "    return 2 * x")
    (function,) = ast.parse(program).body
    assert isinstance(function, ast.FunctionDef)
    assert [type(node) for node in function.body] == [ast.Expr, ast.Return]


def test_a_program_begins_as_its_prompt_does_but_for_backslashes() -> None:
    style = CompletionStyle()
    assert style.program(TASK, "Twice x.", "") == style.code(TASK, "Twice x.")
    assert 'r""" the \\alpha """' in style.program(TASK, "the \\alpha", "")
    assert ' """ the \\alpha """' in style.code(TASK, "the \\alpha")


@pytest.mark.parametrize("style", [CompletionStyle(), ChatStyle()])
def test_the_gold_completion_makes_the_reference_program(
    style: CompletionStyle | ChatStyle,
) -> None:
    completion = style.gold(TASK).removesuffix("\n```")
    space: dict[str, object] = {}
    exec(style.program(TASK, "Double it.", completion), space)
    solve = space["solve"]
    assert callable(solve)
    assert solve(21) == 42


def drawn(style: CompletionStyle | ChatStyle, completion: str) -> Sample:
    """A code that was drawn in a style."""
    return replace(code("a", 0), prompt=style.code(TASK, "Double it."), completion=completion)


def row(sample: Sample) -> Example:
    """The training row of a sample."""
    return sample_example(sample.prompt, sample, group((sample,), ()))


@pytest.mark.parametrize(
    ("style", "completions", "answer"),
    [
        (
            CompletionStyle(),
            ("    return 2 * x", "    return 2 * x\n", "    return 2 * x\n\n    \n"),
            "    return 2 * x",
        ),
        (
            ChatStyle(),
            ("\n    return 2 * x", "\n    return 2 * x\n"),
            "\n    return 2 * x\n```",
        ),
    ],
)
def test_a_sample_ends_as_the_reference_does_wherever_it_was_cut(
    style: CompletionStyle | ChatStyle, completions: tuple[str, ...], answer: str
) -> None:
    assert style.gold(TASK) == answer
    assert [row(drawn(style, text)).completion for text in completions] == [answer] * len(
        completions
    )


def test_only_code_is_closed() -> None:
    said = replace(drawn(ChatStyle(), "Doubles it. "), kind=Kind.DESCRIPTION)
    assert whole_answer(said) == "Doubles it. "


def test_a_prompt_of_token_ids_is_continued_as_text_is() -> None:
    assert whole_answer(replace(code("a", 0), prompt=(1, 2), completion="    x\n")) == "    x"


def test_the_chat_prompt_ends_in_an_answer_begun_up_to_the_signature() -> None:
    prompt = ChatStyle().code(TASK, "Double it.")
    assert isinstance(prompt, tuple)
    last = prompt[-1]
    assert isinstance(last, ChatMessage)
    assert last == ChatMessage("assistant", "```python\ndef solve(x: int) -> int:")


def test_the_one_shot_description_prompt_leaves_the_query_open() -> None:
    assert CompletionStyle().description("def g():\n    return 2\n", DEMO) == (
        "### Code\ndef f():\n    return 1\n### Description of the given code\nGive one.\n\n"
        "### Code\ndef g():\n    return 2\n### Description of the given code\n"
    )


def test_docstrings_go_and_nothing_else() -> None:
    code = (
        'def f(x):\n    """ says much\n    in lines """\n    y = "kept"\n    return y\n'
        'def g():\n    """only this"""\n'
    )
    assert without_docstrings(code) == (
        'def f(x):\n    y = "kept"\n    return y\ndef g():\n    """only this"""\n'
    )
    assert without_docstrings("def broken(:") == "def broken(:"


@pytest.mark.parametrize("mark", ["\f", "\v", "\x1c", "\x85", "\u2028"])
def test_what_ends_no_line_for_python_moves_no_docstring(mark: str) -> None:
    before = f"A = '{mark}'  # {mark}\r\n"
    code = f'{before}def f(x):\n    """ says """\n    return x\n'
    assert without_docstrings(code) == f"{before}def f(x):\n    return x\n"


def test_a_reference_that_does_not_begin_with_the_head_is_refused() -> None:
    with pytest.raises(ConfigError, match="begins with the code head"):
        reference_body(replace(TASK, reference="def other():\n    pass"))
    with pytest.raises(ConfigError, match="saw none"):
        reference_body(replace(TASK, reference=None))


def test_auto_is_chat_for_a_model_with_a_template() -> None:
    assert style_of("auto", True).name == "chat"
    assert style_of("auto", False).name == "completion"
    assert style_of("completion", True).name == "completion"
    with pytest.raises(ConfigError, match="chat template"):
        style_of("chat", False)
