"""Training of a checkpoint from rows, in processes of its own.

On one machine `python -m roundsmith.training JOB`, or the same under torchrun; over several
`python -m roundsmith.training.stored URI` on each, with a storage root between them.
"""

from roundsmith.training.job import TrainingJob
from roundsmith.training.launch import launch
from roundsmith.training.progress import Progress
from roundsmith.training.request import StoredResult, StoredTraining, TrainingArithmetic
from roundsmith.training.result import TrainingResult

__all__ = [
    "Progress",
    "StoredResult",
    "StoredTraining",
    "TrainingArithmetic",
    "TrainingJob",
    "TrainingResult",
    "launch",
]
