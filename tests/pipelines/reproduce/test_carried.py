"""Finished arms are carried whole, and refused where they are of something else."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roundsmith.claims import Claims, read_claims
from roundsmith.errors import ConfigError
from roundsmith.reproduce.carried import (
    FILE,
    Carried,
    carried_of,
    fitting,
    known_of,
    packed,
    read_carried,
)
from roundsmith.reproduce.choice import Choice
from roundsmith.reproduce.finished import Finished
from roundsmith.reproduce.origin import Origin, origin_of
from roundsmith.statistics import Evaluation, TaskCount

CLAIMS = read_claims("gift")
CHOICE = Choice("lab", ("here/one", "here/two"), "lab", limit=8)
TUNED = {"gift": {"learning_rate_times": 3.0}}
CPU: dict[str, str | int] = {
    "engine": "transformers",
    "dtype": "auto",
    "device": "cpu",
    "threads": 2,
}


def origin(choice: Choice = CHOICE, claims: Claims = CLAIMS, **changed: Any) -> Origin:
    given: dict[str, Any] = {
        "tuned": True,
        "models": ("a" * 64, "b" * 64),
        "tasks": "c" * 64,
        "arithmetic": CPU,
    }
    return origin_of(claims, choice, **(given | changed))


def arm(name: str, seed: int, code: str = "1+a") -> Finished:
    counts = tuple(TaskCount(f"t{i}", 4, (i + seed) % 5) for i in range(6))
    final = Evaluation(counts, 4)
    return Finished(
        arm=name,
        seed=seed,
        model="there/model",
        parts={"final": final, "final A": final.only({"t1", "t4"})},
        ks=(1, 4),
        settings={"tail": 2.0},
        code=code,
        tuned=TUNED.get(name, {}),
        measured={"effective sample size": 3.25},
        rows=7,
        steps=3,
        tokens=1234,
        executions=56,
        sampling_s=1.5,
        training_s=0.25,
    )


ARMS = [arm("untrained", 0), arm("gift", 0), arm("gift", 1)]


def carried(folder: Path, arms: list[Finished] = ARMS, **changed: Any) -> Carried:
    path = folder / "gift" / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(packed(origin(**changed), TUNED, arms))
    found = carried_of(folder, "gift", alone=True)
    assert found is not None
    return found


def test_arms_come_back_as_they_were_under_the_models_of_this_machine(tmp_path: Path) -> None:
    found = fitting(carried(tmp_path), origin(), CLAIMS, CHOICE, "1+a")
    models = ("here/one", "here/one", "here/two")
    expected = [replace(one, model=model) for one, model in zip(ARMS, models, strict=True)]
    assert found == {(one.arm, one.seed): one for one in expected}
    assert packed(origin(), TUNED, ARMS) == packed(origin(), TUNED, ARMS)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"models": ("b" * 64, "a" * 64)}, "of other models: saw"),
        ({"tasks": "d" * 64}, "of other tasks: saw cc.* expected dd"),
        ({"tuned": False}, "of other tuned: saw True, expected False"),
        ({"arithmetic": CPU | {"device": "cuda"}}, "of other arithmetic: .*cpu.*cuda"),
        ({"choice": replace(CHOICE, limit=9)}, r"of other claims or settings \(gift\): saw"),
    ],
)
def test_arms_of_another_origin_are_refused_by_what_differs(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        fitting(carried(tmp_path), origin(**changed), CLAIMS, CHOICE, "1+a")


def test_paths_and_threads_of_a_machine_are_no_other_origin() -> None:
    moved = replace(CHOICE, models=("there/a", "there/b"))
    assert origin(moved, arithmetic=CPU | {"threads": 64}) == origin()


def changed_arm(name: str, **changed: Any) -> Claims:
    """The claims with another row for an arm, or one more."""
    arm = CLAIMS.arms.get(name, CLAIMS.arms["gift_released"]).model_copy(update=changed)
    return CLAIMS.model_copy(update={"arms": {**CLAIMS.arms, name: arm}})


def test_arms_and_claims_that_are_added_leave_what_was_finished(tmp_path: Path) -> None:
    grown = changed_arm("tail_9", settings={"tail": 9.0})
    grown = grown.model_copy(update={"claims": CLAIMS.claims[1:]})
    expected = origin(claims=grown)
    assert expected.claims != origin().claims
    assert expected.settings != origin().settings
    assert set(fitting(carried(tmp_path), expected, grown, CHOICE, "1+a")) == {
        (one.arm, one.seed) for one in ARMS
    }
    theirs = carried(tmp_path, [arm("tail_9", 0)], claims=grown)
    with pytest.raises(ConfigError, match=r"\(tail_9\): saw .*, expected no such arm"):
        fitting(theirs, origin(), CLAIMS, CHOICE, "1+a")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("gift", {"settings": {"tail": 3.0}}),
        ("gift", {"grid": "other"}),
        ("rft", {"settings": {"rewritten": 2}}),  # whose rows those of gift are matched with
        ("rft_rd", {"matched": ""}),
    ],
)
def test_an_arm_is_refused_where_one_that_it_leans_on_has_changed(
    name: str, changed: dict[str, Any], tmp_path: Path
) -> None:
    claims = changed_arm(name, **changed)
    claims = claims.model_copy(update={"grids": {**CLAIMS.grids, "other": CLAIMS.grids["sft"][:1]}})
    with pytest.raises(ConfigError, match=r"claims or settings \(gift\)"):
        fitting(carried(tmp_path), origin(claims=claims), claims, CHOICE, "1+a")


def test_how_an_arm_is_told_of_is_no_other_arm() -> None:
    told = changed_arm("gift", says="in other words", headline=False, seeds=3)
    assert origin(claims=told).arms == origin().arms


def without_arms(path: Path) -> Carried:
    """The file as it was written before it told arms apart."""
    header, *rest = gzip.decompress(path.read_bytes()).splitlines()
    read = json.loads(header)
    del read["origin"]["arms"]
    old = json.dumps(read | {"schema_version": 1}).encode()
    path.write_bytes(gzip.compress(b"\n".join((old, *rest))))
    return read_carried(path)


def test_a_file_that_does_not_tell_arms_apart_fits_the_same_claims_and_settings(
    tmp_path: Path,
) -> None:
    old = without_arms(carried(tmp_path).path)
    assert len(fitting(old, origin(), CLAIMS, CHOICE, "1+a")) == len(ARMS)
    grown = changed_arm("tail_9", settings={"tail": 9.0})
    with pytest.raises(ConfigError, match="of other claims: saw"):
        fitting(old, origin(claims=grown), grown, CHOICE, "1+a")
    with pytest.raises(ConfigError, match="of other settings: saw"):
        fitting(old, origin(replace(CHOICE, limit=9)), CLAIMS, CHOICE, "1+a")


def test_arms_of_another_code_are_taken_only_where_that_is_asked_for(tmp_path: Path) -> None:
    found = carried(tmp_path, [arm("gift", 0), arm("gift", 1, code="1+b")])
    with pytest.raises(ConfigError, match=r"gift, seed 1: saw the code 1\+b, expected 1\+a"):
        fitting(found, origin(), CLAIMS, CHOICE, "1+a")
    assert len(fitting(found, origin(), CLAIMS, CHOICE, None)) == 2


def test_arms_of_other_tuned_values_are_refused(tmp_path: Path) -> None:
    other = replace(arm("gift", 0), tuned={"learning_rate_times": 1.0})
    with pytest.raises(ConfigError, match="expected the values tuned for gift"):
        fitting(carried(tmp_path, [other]), origin(), CLAIMS, CHOICE, "1+a")


def test_files_of_one_comparison_are_joined_and_the_last_one_counts(tmp_path: Path) -> None:
    theirs = carried(tmp_path, [arm("untrained", 0), arm("gift", 0)])
    ours = carried(tmp_path, [replace(arm("gift", 0), rows=8), arm("rft", 2)])
    tuned, arms = known_of([theirs, ours], origin(), CLAIMS, CHOICE, "1+a")
    assert tuned == TUNED
    assert set(arms) == {("untrained", 0), ("gift", 0), ("rft", 2)}
    assert arms["gift", 0].rows == 8


def test_files_of_arms_tuned_to_different_values_are_not_joined(tmp_path: Path) -> None:
    ours = carried(tmp_path, [arm("untrained", 1)])
    theirs = replace(ours, tuned={"gift": {"learning_rate_times": 1.0}}, arms={})
    with pytest.raises(ConfigError, match=r"gift: saw it tuned to .*3\.0.*, expected .*1\.0"):
        known_of([theirs, ours], origin(), CLAIMS, CHOICE, "1+a")


def test_a_recipe_without_a_file_is_refused_where_it_alone_is_asked_for(tmp_path: Path) -> None:
    assert carried_of(tmp_path, "gift", alone=False) is None
    with pytest.raises(ConfigError, match=r"finished\.jsonl\.gz"):
        carried_of(tmp_path, "gift", alone=True)


@pytest.mark.parametrize(
    ("at", "change", "said"),
    [
        (0, {"schema_version": 3}, "schema_version"),
        (0, {"task_ids": [["t0"]]}, "list index out of range|how many"),
        (1, {"seed": 1_000_000}, "seed"),
        (1, {"unknown": 1}, "unknown"),
        (1, {"parts": {"final": {"tasks": 0, "samples": 4, "correct": [5] * 6}}}, "how many of 4"),
    ],
)
def test_a_file_of_another_form_is_refused(
    at: int, change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    lines = gzip.decompress(packed(origin(), TUNED, ARMS)).splitlines()
    lines[at] = json.dumps(json.loads(lines[at]) | change).encode()
    path = tmp_path / "changed.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    with pytest.raises(ConfigError, match=said):
        read_carried(path)


def test_bytes_that_are_no_such_file_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"no gzip", gzip.compress(b""), gzip.compress(b"[1]")):
        (tmp_path / "x.gz").write_bytes(content)
        with pytest.raises(ConfigError, match=r"x\.gz"):
            read_carried(tmp_path / "x.gz")


def test_ten_seeds_of_all_arms_on_the_lab_are_some_hundred_kilobytes() -> None:
    counts = tuple(TaskCount(f"lab/final/{i:05}", 4, (i * 7) % 5) for i in range(400))
    whole = [
        replace(arm(name, seed), parts={"final": Evaluation(counts[seed:], 4)})
        for name in CLAIMS.arms
        for seed in range(10)
    ]
    assert len(packed(origin(), TUNED, whole)) < 300_000
