"""`python -m roundsmith.training JOB.json`, or the same under torchrun: one training, then exit.

Exit codes: 0 done, 1 it failed, 2 the job is wrong. Started again after any end, it goes on.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from roundsmith.errors import RoundsmithError
from roundsmith.training.job import TrainingJob


def main() -> int:
    """Read the job, then import the heavy things, then run."""
    parser = argparse.ArgumentParser(prog="python -m roundsmith.training", description=__doc__)
    parser.add_argument("job", type=Path, help="a training job in JSON")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the caller ends")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # A training reads folders and asks no hub; TRL would report its use to one.
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    try:
        if options.die_with_parent:
            from roundsmith.serve.server import die_with_parent

            die_with_parent()
        job = TrainingJob.read(options.job)

        from roundsmith.training.run import train

        train(job)
    except RoundsmithError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
