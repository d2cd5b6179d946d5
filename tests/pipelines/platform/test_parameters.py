"""What the first task of the pipeline refuses, before anything is asked of a GPU."""

import json
from pathlib import Path
from typing import Any

import pytest

from roundsmith.errors import ConfigError, UnknownName
from roundsmith.platform.chain import Chain
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.parameters import RoundPlan, check_parameters, run_name
from tests.pipelines.platform.clusters import described
from tests.pipelines.platform.test_pipeline import DEFAULTS


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The chart's file of a cluster whose storage is a folder."""
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps(described() | {"storage": str(tmp_path / "storage")}))
    return path


def checked(place: Path, **changes: Any) -> RoundPlan:
    """The plan of a run with these parameters."""
    return check_parameters({**DEFAULTS, "cluster": str(place), **changes}, "run-1")


def test_parameters_become_the_plan_of_a_round(place: Path) -> None:
    plan = checked(place, rounds=3, limit=5, config={"iterations": 2.0}, budget={"tokens": 1e6})
    assert (plan.round, plan.run) == (1, "run-1")
    assert (plan.config.preset, plan.config.limit, plan.config.eval_limit) == ("lab", 5, 400)
    assert plan.config.recipe_config["iterations"] == 2
    assert plan.config.alpha == 0.05
    assert checked(place, alpha=0.2).config.alpha == 0.2
    assert (plan.config.budget.tokens, plan.config.services.threads) == (1_000_000, 1)
    text = plan.model_dump_json()
    assert RoundPlan.model_validate_json(text).model_dump_json() == text


def test_a_chain_is_named_by_what_it_plays(place: Path) -> None:
    one, other = checked(place), checked(place, seed=1)
    assert one.chain == checked(place).chain != other.chain
    assert one.chain.startswith("gift-")
    assert checked(place, recipe="inverse_instruct").chain.startswith("inverse-instruct-")
    assert run_name("c", 2) == "c-round-2"


def test_pods_and_nodes_of_trainings_are_the_runs(place: Path) -> None:
    here = checked(place, replicas=4, node_pool="pool=a100").place
    assert isinstance(here, ClusterConfig)
    assert here.training.replicas == 4
    assert here.training.template["spec"]["nodeSelector"] == {"pool": "a100"}
    asis = checked(place).place
    assert isinstance(asis, ClusterConfig)
    assert "nodeSelector" not in asis.training.template["spec"]


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"rounds": 0}, "rounds: Input should be greater than or equal to 1, saw 0"),
        ({"alpha": 1.5}, "alpha: Input should be less than 1, saw 1.5"),
        ({"round_number": 2}, "round_number: expected 1 to 1"),
        ({"round_number": 2, "rounds": 2}, "round 2 of chain .*: expected round 1 to have been"),
        ({"recipe": "gitf"}, "recipe 'gitf': expected one of atomic, dstc, gift"),
        ({"config": {"iteration": 3}}, "did you mean 'iterations'"),
        ({"config": {"training": {"epoch": 3}}}, r"training.epoch: .*did you mean 'epochs'"),
        ({"budget": {"token": 3}}, "did you mean 'tokens'"),
        ({"preset": "labs"}, "did you mean 'lab'"),
        ({"chain": "My chain"}, "chain 'My chain': expected at most 40 letters"),
        ({"node_pool": "a100"}, "node_pool 'a100': expected a label of its nodes"),
        ({"replicas": 3}, "3 processes share evenly, saw"),
        ({"cluster": "/no/such/file"}, "mount the ConfigMap"),
        ({"colour": 1}, "parameters: colour: no such setting"),
    ],
)
def test_what_can_not_be_played_is_refused_by_its_name(
    place: Path, changes: dict[str, Any], seen: str
) -> None:
    with pytest.raises((ConfigError, UnknownName), match=seen):
        checked(place, **changes)


def test_a_chain_keeps_its_settings(place: Path) -> None:
    Chain(str(place.parent / "storage"), "c").begin(checked(place, chain="c", seed=1).config)
    checked(place, chain="c", seed=1)
    with pytest.raises(ConfigError, match=r"chain c: expected the settings .*seed 1"):
        checked(place, chain="c", seed=2)
