"""A small round whose generator is vLLM: it samples, takes the checkpoint and samples from it."""

from pathlib import Path

import pytest

from roundsmith.report.summary import from_json
from roundsmith.store import GROUPS, RESULTS, Store, read_file
from tests.pipelines.round.lab_round import play_recipe
from tests.services.generator.driven import need

FEW = ("--limit", "3", "--eval-limit", "3", "--no-control")
SHORT = ("--set", "iterations=1", "--set", "training.epochs=1")


@pytest.mark.slow
@pytest.mark.vllm
def test_a_round_samples_from_vllm_before_and_after_its_training(tmp_path: Path) -> None:
    need("vllm")
    out = tmp_path / "run"
    play_recipe(out, "gift", "--engine", "vllm", *FEW, *SHORT)
    found = from_json((out / "round-1/summary.json").read_text()).result
    assert found.funnel["codes"] == 3 * 3
    store = Store(str(out / "store"))
    sampled = store.manifests("sample")
    assert {manifest.reproducible for manifest in sampled} == {"distribution"}
    scored = [g for m in store.manifests("score") for g in store.read_all(GROUPS, m)]
    samples = [sample for group in scored for sample in group.samples]
    assert len(samples) >= found.funnel["codes"]
    assert {sample.provenance.weights_sha256 for sample in samples} == {found.weights_sha256}
    rows = list(read_file(RESULTS, out / "round-1/data/results.parquet"))
    assert {(str(row.split), row.of) for row in rows} >= {("final", "before"), ("final", "after")}
    assert found.checkpoint_sha256 is not None
    log = (out / "work/services/logs/generator.log").read_text()
    assert f"serves weights {found.checkpoint_sha256[:12]}" in log
