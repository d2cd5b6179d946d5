"""`roundsmith compare` on a finished run."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.pipelines.round.lab_round import printed, summary

pytestmark = pytest.mark.slow


def test_a_run_beside_itself_differs_in_what_was_changed_alone(
    undisturbed: Path, tmp_path: Path
) -> None:
    copy, told = tmp_path / "copy", tmp_path / "told.json"
    shutil.copytree(undisturbed, copy)
    settings = json.loads((copy / "run.json").read_text())
    settings["recipe_config"]["tail"] = 1.5
    (copy / "run.json").write_text(json.dumps(settings))
    words = [sys.executable, "-m", "roundsmith.cli", "compare", f"{undisturbed}/round-1", str(copy)]
    text = printed([*words, "--json", str(told)])
    names = [text.split().count(str(run)) for run in (undisturbed, copy)]
    assert names == [2, 2], "they come out whole, in both tables"
    found = json.loads(told.read_text())
    assert found["settings"] == {"recipe_config.tail": [None, 1.5]}
    assert "recipe_config.tail" in text
    final = summary(undisturbed)["result"]["pass_at_k"]["final"]["1"]
    assert [run["pass_at_k"] for run in found["runs"]] == [pytest.approx(final["after"])] * 2
    (against,) = found["against_first"]
    assert (against["difference"], against["p_value"], against["tasks"]) == (0.0, 1.0, 6)
    tokens = summary(undisturbed)["result"]["tokens"]
    assert found["runs"][0]["tokens"] == tokens["sampled"] + tokens["scored"]
