"""Training of a checkpoint from rows, in a process of its own: `python -m roundsmith.training JOB`.

The same command runs under torchrun, on one machine or in a PyTorchJob.
"""

from roundsmith.training.job import TrainingJob
from roundsmith.training.launch import launch
from roundsmith.training.progress import Progress
from roundsmith.training.result import TrainingResult

__all__ = ["Progress", "TrainingJob", "TrainingResult", "launch"]
