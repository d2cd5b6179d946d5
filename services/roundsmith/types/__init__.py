"""The values that the whole system speaks in: tasks, tests, samples, outcomes, scores, examples,
pairs.

Every value is frozen; change one by `dataclasses.replace`. `wire` turns each into its proto message
and back.
"""

from roundsmith.types.execution import (
    ExecuteItem,
    JudgedAt,
    Limits,
    Outcome,
    Phase,
    Program,
)
from roundsmith.types.generation import (
    ChatMessage,
    Completion,
    CompletionDelta,
    Constraint,
    GenerateItem,
    Prompt,
    Sampling,
    Score,
    ScoreItem,
    TopLogprobs,
)
from roundsmith.types.rows import (
    Example,
    Group,
    Kind,
    Pair,
    Provenance,
    Row,
    Sample,
)
from roundsmith.types.tasks import (
    AssertTest,
    CallTest,
    OutputRule,
    OwnLimits,
    Split,
    StdioTest,
    Task,
    Test,
    UnittestTest,
    Value,
)

__all__ = [
    "AssertTest",
    "CallTest",
    "ChatMessage",
    "Completion",
    "CompletionDelta",
    "Constraint",
    "Example",
    "ExecuteItem",
    "GenerateItem",
    "Group",
    "JudgedAt",
    "Kind",
    "Limits",
    "Outcome",
    "OutputRule",
    "OwnLimits",
    "Pair",
    "Phase",
    "Program",
    "Prompt",
    "Provenance",
    "Row",
    "Sample",
    "Sampling",
    "Score",
    "ScoreItem",
    "Split",
    "StdioTest",
    "Task",
    "Test",
    "TopLogprobs",
    "UnittestTest",
    "Value",
]
