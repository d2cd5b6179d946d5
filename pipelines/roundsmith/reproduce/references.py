"""Arms that are trained on references, where there are none to train on."""

from collections.abc import Callable, Iterable, Sequence

from roundsmith.errors import UnfitTasks
from roundsmith.reproduce.player import Player
from roundsmith.steps.context import Context
from roundsmith.steps.inputs import tasks_of
from roundsmith.types import Split

ON_REFERENCES = ("gold", "writer")
"""What an arm trains on that is made of references alone."""


def trainable(
    player: Player,
    context: Context,
    arms: Sequence[str],
    todo: Iterable[tuple[str, int]],
    tell: Callable[[str], object],
) -> tuple[str, ...]:
    """The arms without those that are trained on references where a seed of what is to do has none:
    their training would end the comparison, after all that comes before it is paid for. Tells which
    are left out; raises UnfitTasks where no other is.
    """
    left_out: dict[str, str] = {}
    for arm, seed in todo:
        if player.claims.arms[arm].train in ON_REFERENCES and arm not in left_out:
            tasks = list(tasks_of(context, context.manifest(player.tasks(seed)), Split.TRAIN))
            if all(task.reference is None for task in tasks):
                left_out[arm] = (
                    f"{arm} is left out: it is trained on references, and none of the "
                    f"{len(tasks)} training tasks of seed {seed} has one"
                )
    kept = tuple(arm for arm in arms if arm not in left_out)
    if not kept:
        raise UnfitTasks(
            f"{'; '.join(left_out.values())}: expected an arm that can be trained: name others by "
            "--arm, or give --tasks with references"
        )
    for told in left_out.values():
        tell(told)
    return kept
