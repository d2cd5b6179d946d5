"""The two styles of prompt: what a base model continues, and what a chat model is asked."""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from roundsmith.benchmarks.verbatim import FENCE, PROMPT
from roundsmith.errors import ConfigError
from roundsmith.recipes import prompts
from roundsmith.recipes.snippets import code_of
from roundsmith.types import ChatMessage, Group, Kind, Prompt, Sample, Task

STYLE = "style"
"""The key of a task's meta that names the style of a group without samples."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A solved pair that shows what a description of code looks like."""

    code: str
    description: str


class Style(Protocol):
    """How a task becomes a prompt, and a completion a program."""

    name: ClassVar[str]
    code_stops: ClassVar[tuple[str, ...]]
    description_stops: ClassVar[tuple[str, ...]]
    test_stops: ClassVar[tuple[str, ...]]

    def code(self, task: Task, description: str) -> Prompt:
        """Description to code; the completion is the function's body."""

    def program(self, task: Task, description: str, completion: str) -> str:
        """The whole program that a completion of `code` stands for."""

    def gold(self, task: Task) -> str:
        """The whole answer that stands for the reference; raises ConfigError without one."""

    def close(self, completion: str) -> str:
        """The whole answer, up to its end token, that a completion of `code` was cut from.

        Training and scoring read this, so that a sample ends as the reference does.
        """

    def description(self, code: str, demonstration: Demonstration) -> Prompt:
        """Code to description, one-shot."""

    def test(self, task: Task, description: str) -> Prompt:
        """Description to test; the completion is what follows `assert entry_point(`."""

    def problem_stops(self, task: Task) -> tuple[str, ...]:
        """What ends the completion of `problem`."""

    def problem(
        self, task: Task, block: str, opener: str, demonstration: Callable[[], Demonstration]
    ) -> Prompt:
        """A fenced snippet to the instruction that it answers, begun by an opener."""

    def judge(self, task: Task, instruction: str, answer: str) -> Prompt:
        """(instruction, answer) to Yes or No, the first token after it."""


class CompletionStyle:
    """The code head and its docstring, which the model continues (GiFT's own prompts)."""

    name: ClassVar[str] = "completion"
    code_stops: ClassVar[tuple[str, ...]] = prompts.CODE_STOPS
    description_stops: ClassVar[tuple[str, ...]] = prompts.DESCRIPTION_STOPS
    test_stops: ClassVar[tuple[str, ...]] = prompts.TEST_STOPS

    def code(self, task: Task, description: str) -> Prompt:
        if PROMPT in task.meta:
            return task.meta[PROMPT]
        if not task.head:
            return prompts.instruction_prompt(description)
        return prompts.code_prompt(task, description)

    def program(self, task: Task, description: str, completion: str) -> str:
        if PROMPT in task.meta:
            return task.head + completion
        if not task.head:
            return completion
        return prompts.program_start(task, description) + completion

    def gold(self, task: Task) -> str:
        return self.close(reference_body(task))

    def close(self, completion: str) -> str:
        return completion.rstrip()

    def description(self, code: str, demonstration: Demonstration) -> Prompt:
        return prompts.description_prompt(code, demonstration.code, demonstration.description)

    def test(self, task: Task, description: str) -> Prompt:
        return prompts.test_prompt(task, description)

    def problem_stops(self, task: Task) -> tuple[str, ...]:
        return prompts.DESCRIPTION_STOPS if task.head else (prompts.FENCE.strip(),)

    def problem(
        self, task: Task, block: str, opener: str, demonstration: Callable[[], Demonstration]
    ) -> Prompt:
        if not task.head:
            return prompts.instruction_prompt(prompts.problem_request(block)) + opener
        demo, code = demonstration(), without_docstrings(code_of(block))
        return prompts.description_prompt(code, demo.code, demo.description) + opener

    def judge(self, task: Task, instruction: str, answer: str) -> Prompt:
        if not task.head:
            return prompts.instruction_prompt(prompts.verdict_request(instruction, answer))
        return prompts.judge_prompt(prompts.code_prompt(task, instruction) + answer)


class ChatStyle:
    """One request, with the answer begun up to the signature; the completion starts with a
    newline.
    """

    name: ClassVar[str] = "chat"
    code_stops: ClassVar[tuple[str, ...]] = prompts.CHAT_CODE_STOPS
    description_stops: ClassVar[tuple[str, ...]] = prompts.CHAT_DESCRIPTION_STOPS
    test_stops: ClassVar[tuple[str, ...]] = prompts.TEST_STOPS

    def code(self, task: Task, description: str) -> Prompt:
        if PROMPT in task.meta:
            return prompts.as_chat(task.meta[PROMPT], f"```{task.meta[FENCE]}\n{task.head}")
        if not task.head:
            return prompts.as_chat(description, "")
        return prompts.chat_code_prompt(task, description)

    def program(self, task: Task, description: str, completion: str) -> str:
        return f"{task.head}{completion}" if task.head else completion

    def gold(self, task: Task) -> str:
        if not task.head:
            return reference_body(task)
        return self.close(f"\n{reference_body(task)}")

    def close(self, completion: str) -> str:
        return completion.rstrip() + prompts.FENCE

    def description(self, code: str, demonstration: Demonstration) -> Prompt:
        return prompts.chat_description_prompt(code, demonstration.code, demonstration.description)

    def test(self, task: Task, description: str) -> Prompt:
        return prompts.chat_test_prompt(task, description)

    def problem_stops(self, task: Task) -> tuple[str, ...]:
        return (prompts.FENCE.strip(),)

    def problem(
        self, task: Task, block: str, opener: str, demonstration: Callable[[], Demonstration]
    ) -> Prompt:
        return prompts.as_chat(prompts.problem_request(block), opener)

    def judge(self, task: Task, instruction: str, answer: str) -> Prompt:
        block = answer if not task.head else f"```python\n{task.head}{answer}"
        return prompts.as_chat(prompts.verdict_request(instruction, block), "")


def style_of(name: str, has_chat_template: bool) -> Style:
    """The style `completion` or `chat`; `auto` is chat for a model that has a chat template."""
    if name == "chat" and not has_chat_template:
        raise ConfigError(
            "style: expected a model with a chat template for `chat`, saw one without: "
            "use `completion` or `auto`"
        )
    chat = name == "chat" or (name == "auto" and has_chat_template)
    return ChatStyle() if chat else CompletionStyle()


def style_of_group(group: Group) -> Style:
    """The style in which a group's samples were drawn, or would have been."""
    named = group.task.meta.get(STYLE)
    if named is not None and not group.samples:
        return style_of(named, True)
    return style_of("auto", any(_is_chat(sample.prompt) for sample in group.samples))


def style_of_prompt(prompt: Prompt) -> Style:
    """The style that a prompt is in."""
    return style_of("auto", _is_chat(prompt))


def empty_group(task: Task, style: Style) -> Group:
    """A group without samples, which still tells the style of its rows."""
    return Group(replace(task, meta={**task.meta, STYLE: style.name}), ())


def joined_answer(code: Sample, *tests: Sample) -> str:
    """The whole answer of a code with tests below it."""
    parts = [code.completion.rstrip(), *(test.text for test in tests)]
    return style_of_prompt(code.prompt).close("\n\n".join(parts))


def whole_answer(sample: Sample) -> str:
    """What follows the sample's prompt up to the end token; its style is told by its prompt."""
    if sample.kind is not Kind.CODE:
        return sample.completion
    return style_of_prompt(sample.prompt).close(sample.completion)


def _is_chat(prompt: Prompt) -> bool:
    return not isinstance(prompt, str) and isinstance(prompt[0], ChatMessage)


def reference_body(task: Task) -> str:
    """The reference's lines below the code head; raises ConfigError without a reference."""
    if task.reference is None:
        raise ConfigError(f"task {task.task_id}: expected a reference program, saw none")
    head = task.head.rstrip()
    if not task.reference.startswith(head):
        raise ConfigError(
            f"task {task.task_id}: expected a reference that begins with the code head, saw "
            f"{task.reference[: len(head)]!r}"
        )
    return task.reference[len(head) :].strip("\n")


def without_docstrings(code: str) -> str:
    """The code without its functions' docstrings, otherwise unchanged; as it is if it does not
    parse.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return code
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", code)  # Python's: a form feed ends none
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0]
            own_line = first.lineno > node.lineno and len(node.body) > 1
            if own_line and ast.get_docstring(node, clean=False) is not None:
                assert first.end_lineno is not None
                lines[first.lineno - 1 : first.end_lineno] = [""] * (
                    first.end_lineno - first.lineno + 1
                )
    return "".join(lines)
