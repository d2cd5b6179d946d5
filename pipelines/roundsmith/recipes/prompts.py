"""The prompts that recipes give a model, in completion style (base models) and in chat style.

A completion-style prompt is one string that the model continues. A chat-style prompt is a tuple of
messages whose last one is the start of the assistant's turn, so that both styles get the same kind
of completion back.
"""

from roundsmith.types import ChatMessage, Prompt, Task

QUOTES = '"""'
CODE_STOPS = ("\nclass", "\nif", "\n#", "\nprint", "\ndef", "\nassert")
"""A function's body ends at the first of these (GiFT, released code; `def` is not one of them on
MBPP).
"""

HEADER = "### "
CODE_HEADER = HEADER + "Code"
DESCRIPTION_HEADER = HEADER + "Description of the given code"
DESCRIPTION_STOPS = ("\n" + HEADER,)
TEST_HEADER = HEADER + "Test"
TEST_STOPS = ("\n",)
JUDGE_HEADER = HEADER + "Is the code correct?"

SYSTEM = "You are a programmer who answers each request with code that is correct and complete."

FENCE = "\n```"
"""What closes the code in a chat model's answer."""
CHAT_CODE_STOPS = (*CODE_STOPS, FENCE)
CHAT_DESCRIPTION_STOPS = ("\n\n", FENCE, "\n" + HEADER)


def docstring(description: str, example: str | None, indent: str = "    ") -> str:
    """The indented docstring of GiFT: one space and the description; an example in doctest style
    below it. What would end the string too early, or can not stand in a program, is left out.
    """
    text = " ".join(description.replace("\0", "").replace(QUOTES, "").split())
    if example is None:
        return f'{indent}""" {text} """\n'
    shown = example.replace("\0", "").replace(QUOTES, "'''")
    lines = "".join(f"{indent}{line}\n" for line in shown.splitlines())
    return f'{indent}""" {text}\n{lines}{indent}"""\n'


def code_prompt(task: Task, description: str) -> str:
    """Description to code: the head with its docstring, which the model continues with the
    function's body.
    """
    return f"{task.head}\n{docstring(description, task.example, _indent(task.head))}"


def program_start(task: Task, description: str) -> str:
    """What a program of the task begins with: its code prompt. A docstring with a backslash is a
    raw one, because words such as `\\underline` are no escapes, and would be a syntax error.
    """
    text = docstring(description, task.example, _indent(task.head))
    raw = text.replace(QUOTES, "r" + QUOTES, 1) if "\\" in text else text
    return f"{task.head}\n{raw}"


def description_prompt(code: str, demo_code: str, demo_description: str) -> str:
    """Code to description, one-shot, as in GiFT: a demonstration, then the query left open."""
    return (
        f"{CODE_HEADER}\n{demo_code.strip()}\n{DESCRIPTION_HEADER}\n{demo_description.strip()}\n\n"
        f"{CODE_HEADER}\n{code.strip()}\n{DESCRIPTION_HEADER}\n"
    )


def test_prompt(task: Task, description: str) -> str:
    """Description to test: the model continues with `args) == value` of one assert."""
    return f"{CODE_HEADER}\n{code_prompt(task, description)}{TEST_HEADER}\n{assertion(task)}"


def assertion(task: Task) -> str:
    """How every self-made test begins."""
    return f"assert {task.entry_point}("


def judge_prompt(code_with_docstring: str) -> str:
    """(description, code) to Yes or No: the first token that follows is the answer."""
    return f"{CODE_HEADER}\n{code_with_docstring.strip()}\n{JUDGE_HEADER}\n"


def chat_code_prompt(task: Task, description: str) -> Prompt:
    """Description to code for a chat model: one request, with the answer begun up to the
    signature.
    """
    example = f"\nFor example:\n{task.example}" if task.example else ""
    request = f"Write a Python function that does this:\n{description}{example}"
    return as_chat(request, f"```python\n{task.head}")


def chat_description_prompt(code: str, demo_code: str, demo_description: str) -> Prompt:
    """Code to description for a chat model: the demonstration is a turn answered before."""
    return (
        ChatMessage("user", _describe(demo_code)),
        ChatMessage("assistant", demo_description),
        ChatMessage("user", _describe(code)),
    )


def chat_test_prompt(task: Task, description: str) -> Prompt:
    """Description to test for a chat model: one request, with the assert begun."""
    request = (
        "Write one assert statement in Python that tests a function which does this:\n"
        f"{description}\nThe function is:\n```python\n{task.head}\n    ...\n```"
    )
    return as_chat(request, f"```python\n{assertion(task)}")


def instruction_prompt(request: str) -> str:
    """A request in the frame of Magicoder and InverseCoder, for a model without a chat template."""
    return f"{SYSTEM}\n\n@@ Instruction\n{request}\n\n@@ Response\n"


def problem_request(block: str) -> str:
    """Code to instruction: asks which problem a fenced snippet answers."""
    return (
        "This code is the answer to a programming problem:\n\n"
        f"{block}\n\nWrite the description of that problem."
    )


def verdict_request(instruction: str, block: str) -> str:
    """(instruction, code) to Yes or No."""
    return (
        f"This is a programming problem:\n{instruction}\n\nThis is code that is meant to answer "
        f"it:\n{block}\n\nIs the answer correct? Begin with Yes or No."
    )


def as_chat(request: str, prefix: str) -> Prompt:
    """One user turn, with the assistant's turn begun by `prefix`, if it is not empty."""
    if not prefix:
        return (ChatMessage("user", request),)
    return (ChatMessage("user", request), ChatMessage("assistant", prefix))


def _describe(code: str) -> str:
    return (
        "Say in one or two sentences what this Python function must do, so that somebody else can "
        f"write it from your words.\n```python\n{code.strip()}\n```"
    )


def _indent(head: str) -> str:
    """What the body of the head's function is indented by: more where it is a method."""
    lines = reversed(head.splitlines())
    signature = next((x for x in lines if x.lstrip().startswith(("def ", "async def "))), "")
    return signature[: len(signature) - len(signature.lstrip())] + "    "
