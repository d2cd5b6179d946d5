"""`python -m roundsmith.training JOB.json`, or the same under torchrun: one training, then exit.

Exit codes: 0 done, 1 it failed, 2 the job is wrong, 28 the disk is full. Started again after
any end, it goes on.
"""

import argparse
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from roundsmith.children import die_with_parent
from roundsmith.config import child_environment, let_threads_sleep
from roundsmith.errors import RoundsmithError
from roundsmith.leftovers import temporary_folder
from roundsmith.startup import hold_searches
from roundsmith.training.full_disk import EXIT_CODE, NoSpace, full_disk_told
from roundsmith.training.job import TrainingJob
from roundsmith.training.libraries import hold_back

log = logging.getLogger(__name__)

ON_THIS_MACHINE = ("--standalone", "--local-addr=127.0.0.1")
"""Of torchrun, which else looks for an address by the machine's name: for minutes, without one."""
CRASHES = 2
"""How often processes that share a training go on after a crash of one."""
CRASHED = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE)


def main() -> int:
    """Read the job, then import the heavy things, then run."""
    parser = argparse.ArgumentParser(prog="python -m roundsmith.training", description=__doc__)
    parser.add_argument("job", type=Path, help="a training job in JSON")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the caller ends")
    parser.add_argument("--processes", type=int, default=1, help="on this machine, by torchrun")
    parser.add_argument("--kept-at", help="the URI of a request: keep everything in its storage")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    for noisy in ("aiobotocore", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    hold_back()
    let_threads_sleep()
    try:
        if options.die_with_parent:
            die_with_parent()
        job = TrainingJob.read(options.job)
        if options.kept_at:
            hold_searches()
            run_stored(job, options.kept_at)
        elif options.processes > 1:
            share(options.job, options.processes, options.die_with_parent)
        else:
            hold_searches()
            from roundsmith.training.run import train

            with full_disk_told(job.out):
                train(job)
    except RoundsmithError as error:
        with suppress(OSError):  # the log may be on a full disk too
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return EXIT_CODE if isinstance(error, NoSpace) else error.exit_code
    return 0


def run_stored(job: TrainingJob, uri: str) -> None:
    """Run this process's part of a job that is kept in the storage root; an error that another try
    does not mend is kept there too.
    """
    from roundsmith.training.area import TrainingArea
    from roundsmith.training.keeping import StoredKeeping
    from roundsmith.training.run import run

    area = TrainingArea.of(uri)
    try:
        run(job, lambda folder, peers: StoredKeeping(area, folder, peers))
    except RoundsmithError as error:
        area.fail(error)
        raise


def share(job: Path, processes: int, tied: bool) -> None:
    """Run a job in so many processes; with `tied` they end when this one does, however it ends.
    Where one of them crashes, which libraries that speak to each other do now and then, all go on
    from the last checkpoint.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    os.environ |= child_environment()
    program = ["-m", "roundsmith.training", str(job), *(["--die-with-parent"] if tied else [])]
    for left in reversed(range(CRASHES + 1)):
        # torchrun would leave a folder of its own
        with temporary_folder("torchrun") as folder:
            where = [*ON_THIS_MACHINE, f"--nproc-per-node={processes}", f"--log-dir={folder}"]
            try:
                torchrun([*where, *program])
                return
            except ChildFailedError as error:
                rank, failure = error.get_first_failure()
                if -failure.exitcode not in CRASHED or not left:
                    raise
        name = signal.Signals(-failure.exitcode).name
        log.warning("process %d crashed (%s): all go on from the last checkpoint", rank, name)


if __name__ == "__main__":
    sys.exit(main())
