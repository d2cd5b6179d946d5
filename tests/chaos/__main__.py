"""`make chaos`: many kills spread over lab rounds, told as JSON.

python -m tests.chaos --kills 100 --seed 1 --out runs/chaos
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from tests.chaos.kills import Chaos, differences, settings_file
from tests.pipelines.round.lab_round import play


def main() -> int:
    """Plays rounds until there were enough kills; 1 when any ended otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--of-a-round", type=int, default=15, help="kills of one round at most")
    parser.add_argument("--out", type=Path, default=Path("runs/chaos"))
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    options = ("--config", str(settings_file(given.out)))
    undisturbed, chaos = given.out / "undisturbed", Chaos(given.seed)
    play(undisturbed, *options)
    begun, done, rounds, wrong = time.monotonic(), 0, 0, {}
    while done < given.kills:
        rounds += 1
        out = given.out / f"round-{rounds}"
        done += chaos.play(out, min(given.of_a_round, given.kills - done), *options)
        if found := differences(out, undisturbed):
            wrong[out.name] = found
        print(f"round {rounds}: {done} kills, {found or 'the same'}", file=sys.stderr, flush=True)
    report = {
        "kills": done,
        "killed": dict(chaos.killed.most_common()),
        "rounds": rounds,
        "starts": chaos.starts,
        "seconds": round(time.monotonic() - begun),
        "differ": wrong,
    }
    print(json.dumps(report, indent=1))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
