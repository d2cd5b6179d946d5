"""The lab: the built-in world of small programs, its tasks, its base model and its training."""

from pathlib import Path

from roundsmith.lab.splits import tasks

MODEL = Path(__file__).parent / "model"
"""The Hugging Face folder of the base model that ships with the package."""
MODELS = {"lab": MODEL, "lab-1": MODEL.with_name("model_1"), "lab-2": MODEL.with_name("model_2")}
"""The word by which each shipped base model is asked for, and its folder: the same training with
seeds 0, 1 and 2, so that methods are compared on more than one base.
"""


def model_source(name: str) -> str:
    """The folder of the word `lab`, `lab-1` or `lab-2`, or the name as it is."""
    return str(MODELS.get(name, name))


__all__ = ["MODEL", "MODELS", "model_source", "tasks"]
