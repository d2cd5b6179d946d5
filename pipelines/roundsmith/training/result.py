"""What a finished training says of itself; a pure function of its job, kept beside the model."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from roundsmith.store.root import sync

RESULT_FILE = "result.json"


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """`tokens` are those of all steps, prompt included; `loss` is the mean over the last tenth
    of the steps.
    """

    weights_sha256: str
    steps: int
    num_rows: int
    num_dropped_rows: int
    """Rows of more than `max_length` tokens."""
    tokens: int
    loss: float
    dtype: str
    device: str
    prompt_tokens: int = 0
    """Of grpo, as the two below: what its rollouts took; 0 of other objectives."""
    sampled_tokens: int = 0
    executions: int = 0


def write_result(folder: Path, result: TrainingResult) -> None:
    """Keep the result in the job's folder."""
    partial = folder / f".{RESULT_FILE}"
    partial.write_text(json.dumps(asdict(result), indent=1) + "\n")
    sync(partial)
    partial.replace(folder / RESULT_FILE)


def read_result(folder: Path) -> TrainingResult:
    """The result of a finished job."""
    return TrainingResult(**json.loads((folder / RESULT_FILE).read_text()))
