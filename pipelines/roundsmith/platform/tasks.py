"""The components of the pipeline: functions that call `platform.component` and do nothing else.

kfp takes the source of each function alone and runs it in the image, so that each imports what it
needs, and its parameters are what the Kubeflow UI shows.
"""

from collections.abc import Callable, Mapping
from typing import Any

from roundsmith.steps import NAMES

Component = Callable[..., Any]
"""Adds a task of kfp, which ships no types."""


def components(image: str) -> Mapping[str, Component]:
    """The component of every step, and of `begin`, which says where a round begins."""
    from kfp import dsl  # type: ignore[import-untyped]  # ships no types

    functions = dict.fromkeys(NAMES, _step()) | {"begin": _begin(), "report": _report()}
    made = {
        name: dsl.component(function, base_image=image, install_kfp_package=False)
        for name, function in functions.items()
    }
    for name, component in made.items():
        component.component_spec.name = name.replace("_", "-")  # what tasks are called after
    return made


def _step() -> Callable[..., str]:
    def step(
        step: str,
        split: str,
        store: str,
        services: str,
        settings: str,
        round_number: int,
        work_folder: str,
        tasks: str = "",
        model: str = "",
        groups: str = "",
        rows: str = "",
        before: str = "",
        after: str = "",
        like: str = "",
        first: str = "",
        checkpoint: str = "",
    ) -> str:
        """Runs one step of a round and returns the reference of what it made."""
        from roundsmith.platform.component import run_component

        references = {"tasks": tasks, "model": model, "groups": groups, "rows": rows}
        references |= {"before": before, "after": after, "like": like}
        references |= {"first": first}
        references |= {"checkpoint": checkpoint}
        return run_component(
            step,
            split,
            references,
            store=store,
            services=services,
            settings=settings,
            round_number=round_number,
            work_folder=work_folder,
        )

    return step


def _begin() -> Callable[..., str]:
    def begin(start: str, model: str, store: str) -> str:
        """The reference of the model that the round begins with."""
        from roundsmith.platform.component import begin

        return begin(start, model, store=store)

    return begin


def _report() -> Callable[..., str]:
    from kfp import dsl

    def report(
        store: str,
        services: str,
        settings: str,
        round_number: int,
        work_folder: str,
        tasks: str,
        model: str,
        groups: str,
        scored: str,
        rows: str,
        checkpoint: str,
        gate_before: str,
        gate_after: str,
        decision: str,
        numbers: dsl.Output[dsl.Metrics],
        page: dsl.Output[dsl.HTML],
        final_before: str = "",
        final_after: str = "",
        final_control: str = "",
        control: str = "",
        writer: str = "",
        train_before: str = "",
        train_after: str = "",
    ) -> str:
        """The round's summary as metrics and its report as a page; returns their reference."""
        from roundsmith.platform.component import run_component, write_report

        references = {"tasks": tasks, "model": model, "groups": groups, "scored": scored}
        references |= {"rows": rows, "checkpoint": checkpoint, "decision": decision}
        references |= {"gate_before": gate_before, "gate_after": gate_after}
        references |= {"final_before": final_before, "final_after": final_after}
        references |= {"final_control": final_control, "control": control, "writer": writer}
        references |= {"train_before": train_before, "train_after": train_after}
        reference = run_component(
            "report",
            "",
            references,
            store=store,
            services=services,
            settings=settings,
            round_number=round_number,
            work_folder=work_folder,
        )
        write_report(reference, store, numbers.log_metric, page.path)
        return reference

    return report
