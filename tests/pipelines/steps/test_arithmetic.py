"""The key of what a model made tells what the settings mean on this machine."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
import transformers

from roundsmith.config import cpu_count, has_bfloat16_units
from tests.pipelines.steps.contexts import context

TORCH = torch.__version__.partition("+")[0]


def test_words_are_told_as_what_they_mean_here(tmp_path: Path) -> None:
    here = "cuda" if torch.cuda.is_available() else "cpu"
    told = context(tmp_path).platform.arithmetic
    assert (told["device"], told["threads"]) == (here, cpu_count())


def test_what_is_chosen_is_told_as_it_is(tmp_path: Path) -> None:
    services: dict[str, str | int] = {"device": "cpu", "threads": 3, "dtype": "bfloat16"}
    services |= {"generator_slots": 5}
    services["engine"] = "vllm"
    told = context(tmp_path, services=services | {"executor_slots": 7}).platform.arithmetic
    versions = {"torch": TORCH, "transformers": transformers.__version__}
    vllm = "" if find_spec("vllm") is None else version("vllm")
    here = {"bfloat16_units": has_bfloat16_units(), **versions, "vllm": vllm}
    assert told == services | here


def test_a_trainings_key_tells_what_computes_here(tmp_path: Path) -> None:
    told = context(tmp_path).platform.training_arithmetic
    assert (told.torch, told.transformers) == (TORCH, transformers.__version__)
