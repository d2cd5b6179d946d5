"""The parameters of the pipeline, as a person gives them in the Kubeflow UI, and what they mean.

Their names and defaults are those of the pipeline function in `platform.pipeline`; whoever starts
runs by a script relies on them.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from roundsmith.commands.run import check, preset_elsewhere
from roundsmith.config import Settings
from roundsmith.errors import ConfigError
from roundsmith.hashing import content_hash
from roundsmith.platform.chain import Chain
from roundsmith.platform.control_job import NAME
from roundsmith.platform.place import Place, changed, read_place, settled
from roundsmith.presets import run_config
from roundsmith.steps.config import RunConfig
from roundsmith.wrong_settings import explain


def _told(description: str, **bounds: float) -> Any:
    """A parameter, as the UI describes it."""
    return Field(description=description, **bounds)  # type: ignore[call-overload]  # bounds by name


class Parameters(Settings):
    """What a run of the pipeline is asked for; the descriptions are those of the UI."""

    recipe: str = _told(
        "How rows are made and chosen: gift, rft, ssd, dstc, inverse_instruct or atomic."
    )
    model: str = _told(
        "What the first round begins with: lab, a Hugging Face folder as the pods see it, or a hub "
        "id."
    )
    tasks: str = _told(
        "What is trained and measured on: lab, or a file of tasks as the pods see it."
    )
    rounds: int = _told(
        "How many rounds are planned. Each is a run of its own and goes on from the checkpoint "
        "that was promoted.",
        ge=1,
    )
    seed: int = _told("The same seed and parameters give the same result.", ge=0)
    preset: str = _told(
        "Where settings come from that nothing else gives: paper, laptop or lab. Empty is lab for "
        "the lab's model and paper for every other."
    )
    limit: int = _told("Training tasks at most; 0 is what the preset says, all for paper.", ge=0)
    eval_limit: int = _told(
        "Tasks at most of each split that is measured on; 0 is what the preset says.", ge=0
    )
    config: dict[str, Any] = _told(
        'Settings of the recipe over its own, such as {"iterations": 3}. `roundsmith schema '
        "RECIPE` says what there is; a name that is wrong is refused."
    )
    budget: dict[str, Any] = _told(
        'What all rounds together may take, such as {"tokens": 1e9, "hours": 12}: tokens, '
        "executions, hours. The round that passes it is the last."
    )
    alpha: float = _told(
        "The gate's error rate over all planned rounds; 0 is what the preset says, which is 0.05 "
        "unless told otherwise.",
        ge=0,
        lt=1,
    )
    control: bool = _told("Also train on the gold rows alone for as many steps, in the last round.")
    replicas: int = _told("Pods of each training; 0 is what the installation says.", ge=0)
    node_pool: str = _told(
        "A label of the nodes that trainings run on, such as cloud.google.com/gke-nodepool=a100; "
        "empty is what the installation says."
    )
    chain: str = _told(
        "The name of the rounds together; runs are called CHAIN-round-N. Empty is a name by the "
        "settings, the same for the same ones."
    )
    round_number: int = _told(
        "Which round this run plays, from 1; a later one is submitted by the run before.", ge=1
    )
    cluster: str = _told(
        "The file that says where services and storage are; the chart's is mounted."
    )


FIELDS = tuple(Parameters.model_fields)


class RoundPlan(Settings):
    """Parameters that were checked: what every task of a run is handed."""

    config: RunConfig
    chain: str
    round: int
    run: str
    """The run's own id; jobs that it starts are labelled with it."""
    cluster: str
    replicas: int
    node_pool: str

    @property
    def place(self) -> Place:
        """Where the round takes place."""
        return changed(read_place(self.cluster), self.replicas, self.node_pool)


def check_parameters(given: Mapping[str, Any], run: str) -> RoundPlan:
    """What the tasks of a run are handed. It reads files and the storage, and asks for no GPU; what
    is in the tasks and the model is not looked at.

    Raises ConfigError that names the parameter for whatever could not be played.
    """
    try:
        asked = Parameters.model_validate(dict(given))
    except ValidationError as error:
        raise ConfigError(f"parameters: {explain(error, Parameters)}") from error
    place = changed(read_place(asked.cluster), asked.replicas, asked.node_pool)
    options = {
        "recipe": asked.recipe,
        "model": asked.model,
        "tasks": asked.tasks,
        "rounds": asked.rounds,
        "seed": asked.seed,
        "limit": asked.limit or None,
        "eval_limit": asked.eval_limit or None,
        "recipe_config": asked.config or None,
        "budget": asked.budget or None,
        "control": None if asked.control else False,
        "alpha": asked.alpha or None,
    }
    config = run_config(asked.preset or preset_elsewhere, None, options, [])
    config = settled(config, place, check(config).stages())
    if asked.round_number > asked.rounds:
        raise ConfigError(
            f"round_number: expected 1 to {asked.rounds} (rounds), saw {asked.round_number}"
        )
    name = asked.chain or _chain(config)
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"chain {name!r}: expected at most 40 letters a-z, digits and dashes between them: "
            "give such a name, or none"
        )
    chain = Chain(place.storage, name)
    chain.refuse_stopped()
    chain.refuse_others(config)
    chain.model_before(asked.round_number)
    return RoundPlan(
        config=config,
        chain=name,
        round=asked.round_number,
        run=run,
        cluster=asked.cluster,
        replicas=asked.replicas,
        node_pool=asked.node_pool,
    )


def run_name(chain: str, number: int) -> str:
    """What the run of a round is called."""
    return f"{chain}-round-{number}"


def _chain(config: RunConfig) -> str:
    """The name of a chain that was given none: the same for the same settings."""
    recipe = config.recipe.replace("_", "-")[:20]
    return f"{recipe}-{content_hash('chain', config.model_dump(mode='json'))[:8]}"
