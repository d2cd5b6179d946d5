"""What names a sample and a row: content hashes that can be computed again from what they hold;
and what a sample was drawn with.
"""

from typing import Any

from roundsmith.hashing import content_hash, derive_seed
from roundsmith.types import ChatMessage, Example, Kind, Prompt, Provenance, Row, Sample


def draw_seed(seed: int, round: int, task_id: str, kind: Kind, step: int) -> int:
    """The seed of the samples of one place in one task's sampling, by that of the run; each is
    drawn by the generator's H of it and the sample's index.
    """
    return derive_seed(seed, "sample", round, task_id, kind, step)


def sample_id(sample: Sample) -> str:
    """The id of a sample; its own `sample_id` is not looked at."""
    origin = sample.provenance
    return content_hash(
        "sample",
        origin.task_id,
        origin.recipe,
        origin.round,
        sample.kind,
        sample.step,
        sample.index,
        origin.seed,
        origin.weights_sha256,
        prompt_json(sample.prompt),
        sample.completion,
    )


def example_id(prompt: Prompt, completion: str, origin: Provenance) -> str:
    """The id of a row to imitate."""
    return content_hash("example", prompt_json(prompt), completion, _where(origin))


def pair_id(prompt: Prompt, chosen: str, rejected: str, origin: Provenance) -> str:
    """The id of a preference."""
    return content_hash("pair", prompt_json(prompt), chosen, rejected, _where(origin))


def row_id(row: Row) -> str:
    """The id that a row has."""
    return row.example_id if isinstance(row, Example) else row.pair_id


def computed_row_id(row: Row) -> str:
    """The id that a row must have."""
    if isinstance(row, Example):
        return example_id(row.prompt, row.completion, row.provenance)
    return pair_id(row.prompt, row.chosen, row.rejected, row.provenance)


def prompt_json(prompt: Prompt) -> Any:
    """A prompt as a JSON value, for hashing."""
    if isinstance(prompt, str):
        return prompt
    return [[t.role, t.content] if isinstance(t, ChatMessage) else t for t in prompt]


def _where(origin: Provenance) -> list[Any]:
    return [origin.task_id, origin.recipe, origin.round, list(origin.parents)]
