"""Run in evalplus's own environment: its executor on the cases of a JSON file, whole passes for
some seconds; programs a second of CPU time, and by the clock, to standard output.
"""

import ast
import json
import resource
import sys
import time


def main(path: str, seconds: float) -> None:
    """Runs the cases of the file in whole passes, at least so long. Exits 1 where one fails."""
    from evalplus.eval import (  # type: ignore[import-not-found]  # not in this environment
        PASS,
        untrusted_check,
    )

    with open(path, encoding="utf-8") as stream:
        cases = json.load(stream)
    for case in cases:
        case["calls"] = ast.literal_eval(case["calls"])
    count, start, cpu_s = 0, time.monotonic(), _cpu_s()
    while time.monotonic() - start < seconds:
        for case in cases:
            inputs = [list(arguments) for arguments, _ in case["calls"]]
            expected = [value for _, value in case["calls"]]
            status, _ = untrusted_check(
                "humaneval",
                f"{case['setup']}\n{case['source']}",
                inputs,
                case["entry_point"],
                expected,
                0,
                [1.0] * len(inputs),
            )
            if status != PASS:
                sys.exit(f"{case['name']}: expected {PASS}, saw {status}")
            count += 1
    print(count / (_cpu_s() - cpu_s), count / (time.monotonic() - start))


def _cpu_s() -> float:
    """Of this process and the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
