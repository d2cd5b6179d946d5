"""The last test of the installation that most tests share: what was installed goes, and takes along
what its rounds made.
"""

import time

from tests.cluster.conftest import Installed, Rounds
from tests.cluster.world import BIN, NAMESPACE, PROFILE, RELEASE


def test_uninstalling_leaves_nothing_behind(installed: Installed, rounds: Rounds) -> None:
    cluster = installed.cluster
    made = cluster.objects()
    assert f"namespace/{NAMESPACE}-sandbox" in made["cluster"] - installed.before["cluster"]
    assert any(name.startswith("job.batch/") for name in made[NAMESPACE])
    assert made[PROFILE] - installed.before[PROFILE]
    where = ("--namespace", NAMESPACE, "--wait", "--timeout", "15m")
    cluster.run(BIN / "helm", "uninstall", RELEASE, *where)
    end = time.monotonic() + 900  # what is owned by what was deleted goes a moment later
    while (left := remaining(installed)) and time.monotonic() < end:
        time.sleep(1)
    assert left == set()


def remaining(installed: Installed) -> set[str]:
    """What is there and was not before."""
    now = installed.cluster.objects()
    return {name for scope, names in now.items() for name in names - installed.before[scope]}
