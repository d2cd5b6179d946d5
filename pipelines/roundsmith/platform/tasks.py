"""The components of the pipeline: functions that call `platform.component` and do nothing else.

kfp takes the source of each function alone and runs it in the image, so that each imports what it
needs.
"""

from collections.abc import Callable, Mapping
from typing import Any

from roundsmith.platform.stages import PARTS

Component = Callable[..., Any]
"""Adds a task of kfp, which ships no types."""


def components(image: str) -> Mapping[str, Component]:
    """The components by name; tasks are called after them."""
    from kfp import dsl  # type: ignore[import-untyped]  # ships no types

    functions = dict.fromkeys(PARTS, _part()) | {
        "check": _check(),
        "report": _report(),
        "next": _next(),
        "release": _release(),
    }
    made = {
        name: dsl.component(function, base_image=image, install_kfp_package=False)
        for name, function in functions.items()
    }
    for name, component in made.items():
        component.component_spec.name = name.replace("_", "-")
    return made


def _check() -> Callable[..., str]:
    def check(
        recipe: str,
        model: str,
        tasks: str,
        rounds: int,
        seed: int,
        preset: str,
        limit: int,
        eval_limit: int,
        config: dict,  # type: ignore[type-arg]  # kfp knows the bare type
        budget: dict,  # type: ignore[type-arg]  # kfp knows the bare type
        alpha: float,
        control: bool,
        replicas: int,
        node_pool: str,
        chain: str,
        round_number: int,
        cluster: str,
        run: str,
    ) -> str:
        """Refuses what can not be played; returns the plan of the round."""
        from roundsmith.platform.component import check

        parameters = {"recipe": recipe, "model": model, "tasks": tasks, "rounds": rounds}
        parameters |= {"seed": seed, "preset": preset, "limit": limit, "eval_limit": eval_limit}
        parameters |= {"config": config, "budget": budget, "control": control, "alpha": alpha}
        parameters |= {"replicas": replicas, "node_pool": node_pool, "chain": chain}
        parameters |= {"round_number": round_number, "cluster": cluster}
        return check(parameters, run)

    return check


def _part() -> Callable[..., str]:
    def part(stage: str, plan: str) -> str:
        """Plays a part of the round; returns the reference of what it made last."""
        from roundsmith.platform.component import run_stage

        return run_stage(stage, plan)

    return part


def _report() -> Callable[..., str]:
    from kfp import dsl

    def report(
        plan: str,
        numbers: dsl.Output[dsl.Metrics],
        page: dsl.Output[dsl.HTML],
    ) -> str:
        """The round's summary as metrics and its report as a page; returns their reference."""
        from roundsmith.platform.component import write_report

        return write_report(plan, numbers.log_metric, page.path)

    return report


def _next() -> Callable[..., str]:
    def next_round(plan: str) -> str:
        """Submits the next round of the chain, if there is one; says what was done."""
        from roundsmith.platform.component import next_round

        return next_round(plan)

    return next_round


def _release() -> Callable[..., str]:
    def release(cluster: str, run: str) -> str:
        """Ends the trainings that the run left behind, however it ended."""
        from roundsmith.platform.component import release

        return release(cluster, run)

    return release
