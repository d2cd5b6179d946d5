"""Lays out the context that the images are built from: the wheel, and what each role installs.

    python context.py ROOT CONTEXT

Prints the version of the project. Needs the extra `dev` beside this interpreter.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

EXTRAS = {
    "control": ("cluster", "otel"),
    "executor": ("executor", "otel"),
    "scorer": ("scorer", "otel"),
    "trainer": ("scorer", "local"),
    "generator": ("generator", "otel"),
}
"""By target of the Dockerfile."""


def lay_out(root: Path, context: Path) -> str:
    """The version of the project in `root`; `context` is filled."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    requirements = context / "requirements"
    requirements.mkdir(parents=True)
    _write(requirements / "base.txt", project["dependencies"])
    for role, extras in EXTRAS.items():
        needed = [one for extra in extras for one in project["optional-dependencies"][extra]]
        _write(requirements / f"{role}.txt", sorted(set(needed)))
    here = Path(__file__).parent
    shutil.copy(here / "Dockerfile", context)
    shutil.copy(root / "constraints.txt", context)
    shutil.copy(here / "vllm-constraints.txt", context)
    shutil.copy(root / "sandbox-image/sbom.py", context)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", context, root]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the wheel: expected it to be built, saw:\n{done.stdout}{done.stderr}")
    return str(project["version"])


def _write(path: Path, requirements: list[str]) -> None:
    path.write_text("".join(f"{one}\n" for one in requirements))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(f"usage: {sys.argv[0]} ROOT CONTEXT")
    print(lay_out(Path(sys.argv[1]), Path(sys.argv[2])))
