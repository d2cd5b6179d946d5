"""The key of what a model made tells what the settings mean on this machine."""

import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import transformers

from roundsmith.config import (
    BITS,
    child_environment,
    cpu_count,
    has_bfloat16_units,
    processor,
    processor_of,
)
from tests.pipelines.steps.contexts import context

TORCH = torch.__version__


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
    here = {"bfloat16_units": has_bfloat16_units(), "processor": processor(), **versions}
    here["vllm"] = vllm
    assert told == services | here


def test_a_trainings_key_tells_what_computes_here(tmp_path: Path) -> None:
    told = context(tmp_path).platform.training_arithmetic
    assert (told.torch, told.transformers) == (TORCH, transformers.__version__)
    assert told.key()["processor"] == processor()


def test_a_processor_is_told_by_what_torch_takes_of_it() -> None:
    told = processor().split()
    taken = torch.backends.cpu.get_cpu_capability()
    wanted = {"AVX512": "avx512f", "AVX2": "avx2"}
    assert taken not in wanted or wanted[taken] in told[1:]
    assert len(told) > 1, "it has some vector instructions"


CPUINFO = """processor\t: 0
vendor_id\t: {vendor}
model name\t: one of them @ {mhz} GHz
cpu MHz\t\t: {mhz}000.00
flags\t\t: fpu sse sse2 {flags} rdrand

processor\t: 1
vendor_id\t: {vendor}
flags\t\t: fpu
"""


def test_processors_are_one_where_vendor_and_vector_instructions_are() -> None:
    def told(vendor: str, flags: str, mhz: int = 2) -> str:
        return processor_of(CPUINFO.format(vendor=vendor, flags=flags, mhz=mhz))

    first = told("GenuineIntel", "avx avx2 fma avx512f")
    assert first == "GenuineIntel avx avx2 avx512f fma"
    assert told("GenuineIntel", "avx512f fma avx2 avx smep", mhz=3) == first
    assert told("GenuineIntel", "avx avx2 fma") != first
    assert told("AuthenticAMD", "avx avx2 fma avx512f") != first
    arm = "processor\t: 0\nFeatures\t: fp asimd sve aes\nCPU implementer\t: 0x41\n"
    assert processor_of(arm) == "0x41 asimd sve"


def test_on_a_gpu_the_processor_makes_no_other_key(tmp_path: Path) -> None:
    platform = context(tmp_path, services={"device": "cuda"}).platform
    assert "processor" not in platform.arithmetic
    assert "processor" not in platform.training_arithmetic.key()


SUMS = """
import hashlib, torch
torch.set_num_threads(1)
torch.manual_seed(0)
layer = torch.nn.Linear(32, 300)
loss = torch.nn.functional.cross_entropy(layer(torch.randn(64, 32)), torch.arange(64))
loss.backward()
print(hashlib.sha256(layer.weight.grad.numpy().tobytes()).hexdigest())
"""


def summed(**environment: str) -> str:
    """The bits of a gradient that a process of this environment computes."""
    words = [sys.executable, "-c", SUMS]
    done = subprocess.run(
        words, env=child_environment(**environment), capture_output=True, text=True, check=True
    )
    return done.stdout


def keys(folder: Path) -> tuple[str, str]:
    """What is told to the key of samples and of a checkpoint, as text."""
    platform = context(folder, services={"device": "cpu"}).platform
    return str(sorted(platform.arithmetic.items())), str(platform.training_arithmetic.key())


def test_a_variable_that_changes_the_last_bits_makes_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in BITS:
        monkeypatch.delenv(name, raising=False)
    here, bits = keys(tmp_path), summed()
    assert bits == summed(OMP_NUM_THREADS="2", MKL_NUM_THREADS="2")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert keys(tmp_path) == here
    # Another library than MKL has no other bits to give.
    assert summed(MKL_CBWR="COMPATIBLE") != bits or "mkl" not in torch.__config__.show().lower()
    for name, value in (("MKL_CBWR", "COMPATIBLE"), ("ATEN_CPU_CAPABILITY", "default")):
        monkeypatch.setenv(name, value)
        told = keys(tmp_path)
        assert all(one != other for one, other in zip(told, here, strict=True))
        assert all(f"{name}={value}" in one for one in told)
        monkeypatch.delenv(name)
    assert keys(tmp_path) == here


def test_what_the_services_ask_of_mkl_by_themselves_is_no_other_key_of_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MKL_CBWR", raising=False)
    samples, checkpoint = keys(tmp_path)
    monkeypatch.setenv("MKL_CBWR", "AUTO,STRICT")
    assert keys(tmp_path)[0] == samples
    assert keys(tmp_path)[1] != checkpoint
    monkeypatch.setenv("MKL_CBWR", "")  # which turns off what the services ask for
    assert keys(tmp_path)[0] != samples
    assert keys(tmp_path)[1] == checkpoint


def test_a_key_without_such_variables_has_no_word_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in BITS:
        monkeypatch.delenv(name, raising=False)
    assert "environment" not in context(tmp_path).platform.arithmetic
    assert "environment" not in context(tmp_path).platform.training_arithmetic.key()
