"""The round as a Kubeflow pipeline: the order of `round.py`, each step a thin component.

A task names a step, hands it the references of earlier ones and returns a reference; everything
else is in `platform.component` and the store. The image brings the code, so that no task installs
anything.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.pair_builder.rules import find_rule, load_rules
from roundsmith.platform.tasks import Component, components
from roundsmith.round import play_round
from roundsmith.steps.config import RunConfig
from roundsmith.storage import make_output_folder

SUFFIXES = (".yaml", ".yml", ".json")
RETRIES = 2
"""A task that is lost with its node is run again: a finished step is found, not repeated."""
TITLES = {
    "load_tasks": "Load the tasks",
    "load_model": "Load the model",
    "evaluate": "Evaluate on {split}",
    "writer": "Train the writer",
    "sample": "Sample and verify",
    "score": "Score",
    "select": "Select rows",
    "select_gold": "Keep gold rows",
    "train": "Train",
    "decide": "Decide at the gate",
    "report": "Report",
}


def compile_pipeline(config: RunConfig, number: int, image: str, output: Path) -> None:
    """Writes the pipeline of one round as kfp's YAML; in the last of `config.rounds` it also
    evaluates on `final`.

    Raises ConfigError without kfp, for a round that is not planned and a name kfp can not write.
    """
    if importlib.util.find_spec("kfp") is None:
        raise ConfigError("compile needs kfp, saw none: pip install 'roundsmith[cluster]'")
    if not 1 <= number <= config.rounds:
        raise ConfigError(f"--round: expected 1 to {config.rounds} (--rounds), saw {number}")
    if output.suffix not in SUFFIXES:
        raise ConfigError(f"--output {output}: expected a name that ends in {', '.join(SUFFIXES)}")
    from kfp import compiler  # type: ignore[import-untyped]  # ships no types

    make_output_folder(output.parent, "--output")
    compiler.Compiler().compile(round_pipeline(config, number, image), str(output))


def round_pipeline(config: RunConfig, number: int, image: str) -> Callable[..., Any]:
    """The kfp pipeline of one round; its parameters default to this round of this run."""
    from kfp import dsl

    by_step = components(image)
    resolved = config.model_dump_json()
    recipe = find_rule(load_rules(config.recipes), config.recipe)
    parts = {name: bool(getattr(recipe, name, False)) for name in ("own_writer", "on_train")}

    @dsl.pipeline(  # type: ignore[untyped-decorator]  # ships no types
        name=f"roundsmith-{config.recipe.replace('_', '-')}",
        display_name=f"Roundsmith: a round of {config.recipe}",
        description="Sample, verify, score, select, train, evaluate, decide at the gate, report.",
    )
    def pipeline(
        store: str,
        services: str,
        settings: str = resolved,
        round_number: int = number,
        start: str = "",
        work_folder: str = "/tmp/roundsmith",
    ) -> None:
        """One round of self-training.

        Args:
            store: Storage root of tasks, rows and checkpoints, a folder or a URL such as
                s3://bucket/runs. Steps that have finished in it are not run again.
            services: Where the services listen, as JSON with the keys generator, generator_admin,
                executor, scorer, scorer_admin and pair_builder.
            settings: The resolved settings of the run, as JSON.
            round_number: Which of the planned rounds this is, from 1. Samples of two rounds differ.
            start: Reference of the checkpoint that the round begins with, such as train/3f0c...;
                empty means the model that the settings name.
            work_folder: Local folder for checkpoints. The services load them from its subfolder
                checkpoints, so it must lie where they see it, under their storage root.
        """
        shared = {
            "store": store,
            "services": services,
            "settings": settings,
            "round_number": round_number,
            "work_folder": work_folder,
        }
        add = AddTask(by_step, shared)
        tasks, first = add("load_tasks"), add("load_model")
        given = {"start": start, "model": first, "store": store}
        model = add.task("begin", given, "Choose where to begin")
        play_round(
            add,
            first=first,
            model=model,
            tasks=tasks,
            last=lambda *_: number == config.rounds,
            control=config.control,
            **parts,
        )

    return pipeline  # type: ignore[no-any-return]  # kfp's decorator


@dataclass
class AddTask:
    """`do` of `round.py`: adds a task to the pipeline that is being traced; its output is returned.

    Tasks follow one another, because one generator serves one set of weights at a time.
    """

    components: Mapping[str, Component]
    """By step."""
    shared: Mapping[str, Any]
    before: Any = None

    def __call__(self, step: str, split: str = "", of: str = "", /, **inputs: Any) -> Any:
        title = TITLES[step].format(split=split) + (f" ({of})" if of else "")
        own = {} if step == "report" else {"step": step, "split": str(split)}
        return self.task(step, {**own, **self.shared, **inputs}, title)

    def task(self, step: str, arguments: Mapping[str, Any], title: str) -> Any:
        """The output of a task that is added after the one before."""
        task = self.components[step](**arguments)
        task.set_display_name(title)
        task.set_caching_options(False)  # kfp's cache outlives the store; ours is the store
        task.set_retry(RETRIES)
        if self.before is not None:
            task.after(self.before)
        self.before = task
        return task.outputs["Output"]
