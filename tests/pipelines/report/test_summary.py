"""summary.json: its shape, its bytes, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundsmith.errors import ConfigError, IncompleteEvaluation
from roundsmith.report.measure import measured
from roundsmith.report.summary import Cost, PassAtK, Summary, from_json, to_json
from tests.pipelines.report.rounds import (
    AFTER,
    BEFORE,
    CONTROL,
    COST,
    RESULT,
    SUMMARY,
    evaluation,
    turned_around,
)


def test_the_shape_is_the_one_that_scripts_read() -> None:
    fields = json.loads(to_json(SUMMARY))
    assert fields["schema_version"] == 2
    assert set(fields) == {"result", "cost", "schema_version"}
    result = fields["result"]
    wanted = {"recipe", "preset", "model", "seed", "pass_at_k", "funnel", "verdicts", "tokens"}
    assert wanted | {"executions", "promoted", "checkpoint", "checkpoint_sha256"} <= set(result)
    one = result["pass_at_k"]["final"]["1"]
    assert {"before", "after", "control", "ci95", "p_value"} <= set(one)
    assert one["ci95"][0] <= one["after"] - one["before"] <= one["ci95"][1]
    assert fields["cost"]["seconds"] == {"sample": 61.5, "train": 3700.0}
    units = {"per_selected_row", "per_point", "estimate"}
    assert set(fields["cost"]) == {"seconds", "retries", "machine", "price", "steps"} | units


def test_every_field_is_in_the_docs() -> None:
    docs = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
    section = docs.split("## `summary.json`")[1]
    fields = json.loads(to_json(SUMMARY))
    one = fields["result"]["pass_at_k"]["final"]["1"]
    named = {*fields["result"], *fields["result"]["gate"], *fields["cost"], *one}
    assert {name for name in named if f"`{name}`" not in section} == set()


def test_what_is_written_is_read_back_alike() -> None:
    assert from_json(to_json(SUMMARY)) == SUMMARY
    assert to_json(from_json(to_json(SUMMARY))) == to_json(SUMMARY)


def test_the_bytes_do_not_depend_on_the_order_in_which_counts_were_made() -> None:
    turned = replace(
        RESULT,
        verdicts=turned_around(RESULT.verdicts),
        tokens=turned_around(RESULT.tokens),
        pass_at_k={
            split: turned_around(by_k) for split, by_k in turned_around(RESULT.pass_at_k).items()
        },
    )
    assert to_json(Summary(turned, COST)) == to_json(SUMMARY)


def test_the_funnel_keeps_the_order_of_the_round() -> None:
    funnel = {"z": 3, "a": 2, "m": 1}
    text = to_json(Summary(replace(RESULT, funnel=funnel), COST))
    assert list(json.loads(text)["result"]["funnel"]) == ["z", "a", "m"]


SHARES = st.floats(0, 1)
RANGES = st.tuples(SHARES, SHARES)
PASSES = st.builds(
    PassAtK,
    before=SHARES,
    after=SHARES,
    ci95=RANGES,
    p_value=SHARES,
    method=st.text(),
    num_tasks=st.integers(1, 10**9),
    num_samples=st.integers(1, 512),
    before_ci95=RANGES,
    after_ci95=RANGES,
    control=st.none() | SHARES,
    control_ci95=st.none() | RANGES,
)


@given(
    st.dictionaries(st.text(), st.dictionaries(st.integers(1, 99).map(str), PASSES)),
    st.dictionaries(st.text(), st.integers(0, 2**60)),
    st.text(),
)
def test_any_result_survives_the_round_trip(
    pass_at_k: dict[str, dict[str, PassAtK]], counts: dict[str, int], model: str
) -> None:
    result = replace(
        RESULT, pass_at_k=pass_at_k, funnel=counts, verdicts=counts, tokens=counts, model=model
    )
    summary = Summary(result, Cost({}))
    assert from_json(to_json(summary)) == summary


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(Summary(RESULT, Cost({"sample": float("nan")})))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "saw schema_version 99, expected 2"),
        ({"extra": 1}, "extra"),
        ({"cost": {"retries": 0}}, "cost.seconds"),
    ],
)
def test_another_shape_is_refused_with_its_place(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_json(json.dumps(json.loads(to_json(SUMMARY)) | change))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", b"\0\0", b"\xc8\xa0", to_json(SUMMARY)[:99]]
)
def test_what_is_no_summary_is_refused_by_its_path(text: str | bytes) -> None:
    with pytest.raises(ConfigError, match=r"^runs/lab/summary\.json: saw .*expected.*: .+"):
        from_json(text, "runs/lab/summary.json")


def test_measured_numbers_are_paired_and_repeat() -> None:
    found = measured(BEFORE, AFTER, CONTROL, k=1, seed=3)
    assert found == measured(BEFORE, AFTER, CONTROL, k=1, seed=3)
    assert found.after - found.before == pytest.approx(0.25)
    assert found.p_value < 0.001
    assert found.over_control is not None
    assert found.control is not None
    assert found.over_control.difference == pytest.approx(found.after - found.control)
    assert (found.num_tasks, found.num_samples) == (60, 4)


def test_nothing_is_measured_on_unlike_tasks() -> None:
    with pytest.raises(IncompleteEvaluation):
        measured(BEFORE, AFTER, evaluation([1] * 59), k=1, seed=3)
