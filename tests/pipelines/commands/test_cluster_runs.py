"""`roundsmith status` where no run is, asked of an API server on loopback."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.pipelines.platform.clusters import described
from tests.pipelines.platform.loopback import Answering, kubeconfig, listening


class Cluster(Answering):
    """The release `r` is installed in the namespace `ml`, without a run."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/jobs"):
            self.answer(200, {"items": []})
        elif path.endswith("ml/configmaps/r-cluster"):
            told = {"metadata": {"uid": "u"}, "data": {"cluster.json": json.dumps(described())}}
            self.answer(200, told)
        else:
            self.answer(404, {"message": "not found"})


def test_no_runs_are_told_of_an_installation_and_of_no_other_place(tmp_path: Path) -> None:
    with listening(Cluster) as url:
        config = kubeconfig(tmp_path, url)
        here, there = asked(config, "ml"), asked(config, "mi")
    assert (here.returncode, here.stdout) == (0, "[]\n")
    assert there.returncode == 2
    assert "expected the ConfigMap r-cluster in namespace mi, saw none" in there.stderr


def asked(config: Path, namespace: str) -> "subprocess.CompletedProcess[str]":
    """A finished `roundsmith status`; the client reads KUBECONFIG once, when it is imported."""
    script = "from roundsmith.cli import main; main()"
    options = ("status", "--namespace", namespace, "--release", "r", "--json")
    return subprocess.run(
        [sys.executable, "-c", script, *options],
        env={**os.environ, "KUBECONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
