"""`make chaos`: many kills spread over lab rounds, told as JSON.

python -m tests.chaos --kills 100 --seed 1 --out runs/chaos

With `--minutes` it begins no round after so long; the same command goes on where it stopped. The
folder is begun anew when it holds another seed's rounds, or when its kills are done.
"""

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos.kills import Chaos, differences, settings_file
from tests.pipelines.round.lab_round import play


def main() -> int:
    """Plays rounds until there were enough kills; 1 when any ended otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--of-a-round", type=int, default=15, help="kills of one round at most")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--out", type=Path, default=Path("runs/chaos"))
    given = parser.parse_args()
    file, begun = given.out / "chaos.json", time.monotonic()
    undisturbed = given.out / "undisturbed"
    report = _report(file)
    if report.get("seed") != given.seed or report["kills"] >= given.kills:
        shutil.rmtree(given.out, ignore_errors=True)
        play(undisturbed, "--config", str(settings_file(given.out)))
        report = {"seed": given.seed, "kills": 0, "rounds": 0, "starts": 0, "seconds": 0.0}
        report |= {"killed": {}, "differ": {}}
    options = ("--config", str(settings_file(given.out)))
    while report["kills"] < given.kills and time.monotonic() - begun < 60 * given.minutes:
        chaos = Chaos(given.seed, killed=Counter(report["killed"]), starts=report["starts"])
        number, started = report["rounds"] + 1, time.monotonic()
        out = given.out / f"round-{number}"
        shutil.rmtree(out, ignore_errors=True)  # a round that was cut short, and is not counted
        chaos.play(out, min(given.of_a_round, given.kills - chaos.kills), *options)
        if found := differences(out, undisturbed):
            report["differ"][out.name] = found
        seconds = report["seconds"] + time.monotonic() - started
        report |= {"kills": chaos.kills, "killed": dict(chaos.killed.most_common())}
        report |= {"rounds": number, "starts": chaos.starts, "seconds": round(seconds)}
        file.write_text(json.dumps(report, indent=1))
        said = f"round {number}: {chaos.kills} kills, {found or 'the same'}"
        print(said, file=sys.stderr, flush=True)
    print(json.dumps(report, indent=1))
    return bool(report["differ"])


def _report(file: Path) -> dict[str, Any]:
    """What earlier calls have done; nothing where there were none."""
    report: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return report


if __name__ == "__main__":
    sys.exit(main())
