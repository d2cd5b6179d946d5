"""Each recipe plays a small round on the lab through the real services, and its rows tell where
they come from.
"""

import json
import shutil
from pathlib import Path

import pytest

from roundsmith.hashing import weights_sha256
from roundsmith.lineage.side_by_side import read_run
from roundsmith.recipes.matrix import matrix_of
from roundsmith.store import EXAMPLES, GROUPS, PAIRS, Store
from roundsmith.types import Kind
from tests.pipelines.round.lab_round import play_recipe, selected, summary
from tests.services.serve.test_traces_and_logs import collecting

pytestmark = pytest.mark.slow

TRAIN = "roundsmith.step.train"


@pytest.fixture(scope="module")
def dstc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    out = tmp_path_factory.mktemp("dstc")
    play_recipe(out, "dstc", "--objective", "dpo")
    return out


def test_dstc_trains_by_dpo_and_by_kto_on_the_same_pairs(dstc: Path, tmp_path: Path) -> None:
    dpo, out = summary(dstc)["result"], tmp_path / "run"
    shutil.copytree(dstc, out)
    printed = play_recipe(out, "dstc", "--objective", "kto")
    kto = summary(out)["result"]
    assert "sample:" not in printed, "another objective trains on the pairs that are there"
    assert kto["checkpoint_sha256"] != dpo["checkpoint_sha256"] != dpo["weights_sha256"]
    assert kto["selection"] == dpo["selection"]
    assert dpo["funnel"]["selected rows"] == dpo["funnel"]["rows trained"] > 0
    assert kto["funnel"]["rows trained"] == 2 * dpo["funnel"]["selected rows"]
    assert dpo["funnel"]["self-made tests"] == 80
    assert dpo["pass_at_k"]["final"]["1"]["control"] is None
    assert weights_sha256(out / "round-1/checkpoint") == kto["checkpoint_sha256"]


def test_executions_that_only_measure_label_noise_are_no_cost_of_dstc(dstc: Path) -> None:
    (sampled,) = Store(str(dstc / "store")).manifests("sample")
    found, every = read_run(str(dstc), "final"), sampled.stats["executions"]
    cells = sum(
        matrix_of(group).passed_JK.size
        for group in Store(str(dstc / "store")).read_all(GROUPS, sampled)
    )
    assert 0 < cells <= found.executions < every
    assert found.executions + found.measuring_executions == every


def test_a_pair_walks_back_to_its_samples_their_prompt_and_the_weights(dstc: Path) -> None:
    store, result = Store(str(dstc / "store")), summary(dstc)["result"]
    groups = {
        g.task.task_id: g for m in store.manifests("score") for g in store.read_all(GROUPS, m)
    }
    pairs = [row for m in store.manifests("select") for row in store.read_all(PAIRS, m)]
    assert len(pairs) == result["selection"]["pairs"] > 0
    for pair in pairs:
        group = groups[pair.provenance.task_id]
        by_id = {sample.sample_id: sample for sample in group.samples}
        chosen, held, rejected, failed = (by_id[parent] for parent in pair.provenance.parents)
        assert [s.kind for s in (chosen, held)] == [Kind.CODE, Kind.TEST]
        assert pair.prompt == chosen.prompt == rejected.prompt
        assert pair.chosen == f"{chosen.completion.rstrip()}\n\n{held.text}"
        assert pair.rejected == f"{rejected.completion.rstrip()}\n\n{failed.text}"
        assert {s.provenance.weights_sha256 for s in (chosen, held)} == {result["weights_sha256"]}
        matrix = matrix_of(group)
        passed = {
            (code.sample_id, test.sample_id): bool(matrix.passed_JK[j, k])
            for j, code in enumerate(matrix.codes)
            for k, test in enumerate(matrix.tests)
        }
        assert passed[chosen.sample_id, held.sample_id]
        assert not passed[rejected.sample_id, failed.sample_id]


def test_inverse_instruct_writes_with_a_tuned_model_and_trains_the_first_one(
    tmp_path: Path,
) -> None:
    play_recipe(tmp_path, "inverse_instruct", "--no-control")
    store, result = Store(str(tmp_path / "store")), summary(tmp_path)["result"]
    trained = sorted(store.manifests("train"), key=lambda m: m.stats["total_steps"])
    of_part = [(m.config["stage"]["part"], m.config["number"]) for m in trained]
    writer = trained[of_part.index(("gold", 0))]
    first, second = (
        next(m for m in trained if m.config["stage"]["part"] == part and m is not writer)
        for part in ("selected", "gold")
    )
    (model,) = store.manifests("model")
    assert writer.parents[1] == first.parents[1] == model.hash
    assert second.parents[1] == first.hash
    assert result["checkpoint_sha256"] == second.stats["weights_sha256"]
    groups = [g for m in store.manifests("score") for g in store.read_all(GROUPS, m)]
    assert {s.provenance.weights_sha256 for g in groups for s in g.samples} == {
        writer.stats["weights_sha256"]
    }
    for group in groups:
        assert len(group.samples) == len(group.scores) == 10
        best = max(score.p_yes or 0 for score in group.scores.values())
        rows = [r for m in store.manifests("select") for r in store.read_all(EXAMPLES, m)]
        kept = [
            parent
            for row in rows
            if row.provenance.task_id == group.task.task_id
            for parent in row.provenance.parents
        ]
        assert [group.scores[parent].p_yes for parent in kept] == [best]
    read = [score.prompt_tokens for group in groups for score in group.scores.values()]
    assert result["tokens"]["scored"] == sum(read) + len(read) > 20 * len(read)
    assert result["funnel"]["rows trained"] == 16


def test_inverse_instruct_learns_from_a_corpus_of_instructions(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    answer = "So:\n```python\ndef f(x): return {i}\n```"
    rows = [{"instruction": f"Write f{i}.", "response": answer.format(i=i)} for i in range(6)]
    rows.append({"instruction": "Why?", "response": "Because of that."})
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "run"
    few = ("--no-control", "--set", "candidates=2")
    play_recipe(out, "inverse_instruct", "--corpus", str(corpus), *few)
    result = summary(out)["result"]
    assert result["selection"]["answers with code"] == 6
    assert result["funnel"]["selected rows"] == 6
    assert result["funnel"]["training rows with gold"] == 13


def test_atomic_imitates_and_then_learns_by_rewards_from_running_services_in_one_trace(
    tmp_path: Path,
) -> None:
    few = ("--set", "training.epochs=1", "--set", "training.grpo.batch_size=16")
    more = ("--set", "training.grpo.generations=4", "--set", "training.grpo.epochs=1")
    with collecting() as (collector, endpoint):
        traced = ("--otlp-endpoint", endpoint)
        play_recipe(tmp_path, "atomic", "--tasks", "atomic", "--limit", "20", *few, *more, *traced)
        spans = collector.spans
    store, result = Store(str(tmp_path / "store")), summary(tmp_path)["result"]
    (sft,), (grpo,) = (
        [m for m in store.manifests("train") if m.config["stage"]["objective"] == name]
        for name in ("sft", "grpo")
    )
    assert grpo.parents[1] == sft.hash
    assert result["checkpoint_sha256"] == grpo.stats["weights_sha256"]
    assert grpo.stats["weights_sha256"] != sft.stats["weights_sha256"]
    assert "sampled_tokens" not in sft.stats
    drawn, ran = grpo.stats["sampled_tokens"], grpo.stats["executions"]
    assert drawn == result["tokens"]["sampled"] > 16 * grpo.stats["steps"]
    assert ran >= 16 * grpo.stats["steps"], "each completion is run on one test at least"
    taken = summary(tmp_path)["cost"]["steps"]["checkpoint"]
    assert (taken["tokens"]["sampled"], taken["executions"]) == (drawn, ran)
    parts = result["pass_at_k"]
    assert {"gate", "gate B", "final", "train"} <= set(parts)
    assert {name for name in parts if name.startswith("final ")} <= {"final B", "final C"}
    assert parts["train"]["1"]["num_tasks"] == 20
    by_set = [parts[name]["1"]["num_tasks"] for name in parts if name.startswith("train ")]
    assert sum(by_set) == 20
    kept = {path.name for path in (tmp_path / "work/checkpoints").iterdir()}
    known = {m.stats["weights_sha256"] for m in (sft, grpo)} | {result["weights_sha256"]}
    assert len(kept - known) <= 1, "of the policies on the way only the last one served stays"
    assert len({span.trace_id for _, span in spans}) == 1
    trained = {s.span_id for of, s in spans if (of, s.name) == ("roundsmith run", TRAIN)}
    asked = {s.name for of, s in spans if s.parent_span_id in trained and of != "roundsmith run"}
    assert asked == {"roundsmith.Generate", "roundsmith.Execute"}


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("rft", ("samples_per_task=6", "rewritten=2")),
        ("ssd", ("samples_per_task=2",)),
        ("regenerate", ("candidates=2",)),
    ],
)
def test_what_methods_are_compared_with_plays_a_round_of_its_own(
    tmp_path: Path, recipe: str, options: tuple[str, ...]
) -> None:
    few = ("--no-control", "--limit", "4", "--eval-limit", "1", "--set", "training.epochs=1")
    play_recipe(tmp_path, recipe, *few, *(word for o in options for word in ("--set", o)))
    assert (tmp_path / "round-1/report.html").exists()
    store, result = Store(str(tmp_path / "store")), summary(tmp_path)["result"]
    assert result["checkpoint_sha256"] != result["weights_sha256"]
    groups = [g for m in store.manifests("sample") for g in store.read_all(GROUPS, m)]
    codes = {s.sample_id: s for g in groups for s in g.samples if s.kind is Kind.CODE}
    every = selected(tmp_path)
    rows = [row for row in every if row.provenance.parents]
    own = {row.provenance.task_id: row.prompt for row in every if not row.provenance.parents}
    assert len(groups) == len(own) == 4
    assert rows, "the rows that the model wrote"
    assert all(row.prompt == own[row.provenance.task_id] for row in rows)
    chosen = {row.provenance.parents[0] for row in rows}
    assert chosen <= codes.keys()
    if recipe == "rft":
        assert chosen <= {code.sample_id for group in groups for code in group.passing()}
        assert {bool(code.provenance.parents) for code in codes.values()} == {True, False}
    else:
        assert not any(group.outcomes for group in groups)
        assert len(rows) == (8 if recipe == "ssd" else 4)
