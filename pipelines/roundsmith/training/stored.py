"""`python -m roundsmith.training.stored URI`: what each pod of a training runs.

URI is a request in the storage root (see `area`). Rows and model are fetched to this machine's
disk; the peers meet as torchrun's environment says (PET_MASTER_ADDR, PET_MASTER_PORT, PET_NNODES,
PET_NODE_RANK, PET_NPROC_PER_NODE), which the Training Operator sets; checkpoints, progress and the
trained model go to the storage root.

Exit codes: 0 the training is finished, 1 it is to be started again, 2 the request is wrong.
"""

import argparse
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

from roundsmith.config import child_environment, let_threads_sleep
from roundsmith.errors import PlatformError, RoundsmithError
from roundsmith.leftovers import temporary_folder
from roundsmith.training.area import TrainingArea

log = logging.getLogger(__name__)

JOIN_S = 3600
"""How long a pod waits for the others to start."""


def main() -> int:
    """Fetch, meet the peers, train."""
    parser = argparse.ArgumentParser(
        prog="python -m roundsmith.training.stored", description=__doc__
    )
    parser.add_argument("uri", help="the URI of a training's request.json")
    scratch = Path(tempfile.gettempdir(), "roundsmith-training")
    parser.add_argument("--folder", type=Path, default=scratch, help="a folder on this disk")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    for noisy in ("aiobotocore", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # The first process of a pod hears no signal that it does not ask for; torchrun asks later.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    let_threads_sleep()
    try:
        area = TrainingArea.of(options.uri)
        if area.result() is not None:
            log.info("%s is finished", area.url)
            return 0
        threads = area.request().arithmetic.threads
        meet(fetch(area, options.folder), options.uri, threads)
    except RoundsmithError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def fetch(area: TrainingArea, folder: Path) -> Path:
    """The request of an area as a job file in `folder`, with rows and model beside it."""
    request = area.request()
    model = folder / "models" / request.model.weights_sha256
    job = request.fetch(model, folder / "trainings" / request.name)
    path = job.out / "job.request.json"
    path.write_text(job.model_dump_json(indent=1) + "\n")
    log.info("fetched %d files of rows and weights %s", len(job.rows), model.name[:12])
    return path


def meet(job: Path, uri: str, threads: int) -> None:
    """Run this machine's processes of a job until all are through.

    Raises PlatformError when one of them fails; why is in what it printed.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    # The threads of a process are the request's; libraries that look here would guess others.
    os.environ |= child_environment(OMP_NUM_THREADS=str(threads))
    program = ["-m", "roundsmith.training", str(job), "--kept-at", uri, "--die-with-parent"]
    try:
        # torchrun would leave a folder of its own
        with temporary_folder("torchrun") as folder:
            torchrun(["--rdzv-conf", f"timeout={JOIN_S}", f"--log-dir={folder}", *program])
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        seen = f"exit code {failure.exitcode}"
        if failure.exitcode == -signal.SIGKILL:
            seen += " (SIGKILL, the kernel's where memory ran out)"
        raise PlatformError(
            f"expected process {rank} to end well, saw {seen}: the training goes on from its last "
            "checkpoint when it is started again"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
