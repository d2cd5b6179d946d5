"""Memory that ran out, however torch says it, is one message with what needs less."""

from collections.abc import Iterator
from contextlib import contextmanager

from roundsmith.errors import EngineError, RoundsmithError
from roundsmith.models.memory import out_of_memory
from roundsmith.recipes.stage import Stage


class NoMemory(EngineError):
    """A training does not fit the memory of its machine."""


@contextmanager
def no_memory_told(stage: Stage) -> Iterator[None]:
    """Raises NoMemory for what goes wrong within because memory ran out.

    A training is not made smaller by itself: rows of a forward pass are part of what names it.
    """
    try:
        yield
    except RoundsmithError:
        raise
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise NoMemory(
            f"the training ran out of memory ({type(error).__name__}: {error}): give it more, or "
            f"set under its [training] {smaller(stage)}; its other settings stay, what the round "
            "has sampled too"
        ) from error


def smaller(stage: Stage) -> str:
    """The settings that make a training need less, those first that leave its result as it is but
    for rounding.
    """
    ways = [
        (stage.micro_batch_size > 1, f"micro_batch_size below {stage.micro_batch_size}"),
        (not stage.gradient_checkpointing, "gradient_checkpointing = true"),
        (not stage.sharded, "sharded = true (several processes)"),
        (not stage.lora_rank, "lora_rank = 16 (adapters, another result)"),
        (True, f"max_length below {stage.max_length} (drops longer rows)"),
    ]
    return ", or ".join(way for helps, way in ways if helps)
