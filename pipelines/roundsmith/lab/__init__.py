"""The lab: the built-in world of small programs, its tasks, its base model and its training."""

from pathlib import Path

from roundsmith.lab.splits import tasks

MODEL = Path(__file__).parent / "model"
"""The Hugging Face folder of the base model that ships with the package."""

__all__ = ["MODEL", "tasks"]
