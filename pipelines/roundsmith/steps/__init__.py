"""The steps of a round, by name: references in, a reference out, everything else in the store."""

from collections.abc import Awaitable, Callable

from roundsmith import tracing
from roundsmith.steps.context import Context

NAMES = (
    "load_tasks",
    "compared_tasks",
    "load_model",
    "evaluate",
    "writer",
    "sample",
    "score",
    "select",
    "select_gold",
    "corpus",
    "matched",
    "train",
    "decide",
    "report",
)


def find_step(name: str) -> Callable[..., Awaitable[str]]:
    """The step of this name: `await step(context, **references)` gives a reference."""
    from roundsmith.steps import compared, decide, evaluate, inputs, report, sample, select, train

    modules = (compared, decide, evaluate, inputs, report, sample, select, train)
    assert name in NAMES, name
    step: Callable[..., Awaitable[str]] = next(
        getattr(module, name) for module in modules if hasattr(module, name)
    )
    return step


async def run_step(ctx: Context, name: str, **references: str) -> str:
    """Runs a step on the references that were given, in a span of its own; empty ones are left
    out.
    """
    given = {key: ref for key, ref in references.items() if ref}
    told: tracing.Attributes = {
        "roundsmith.round": ctx.round,
        "roundsmith.split": given.get("split", ""),
    }
    with tracing.span(f"roundsmith.step.{name}", "internal", told):
        return await find_step(name)(ctx, **given)
