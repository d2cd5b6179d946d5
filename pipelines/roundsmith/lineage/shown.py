"""What was drawn while the model was shown a task as an example of another."""

from dataclasses import dataclass
from typing import Any

from roundsmith.lineage.find import SAMPLE_IDS
from roundsmith.lineage.history import History
from roundsmith.recipes.styles import without_docstrings
from roundsmith.store import GROUPS
from roundsmith.types import Task

COLUMNS = ("task.task_id", SAMPLE_IDS, "samples.list.element.prompt")


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample of another task, such as a description, whose prompt holds the task's description
    and reference.
    """

    sample_id: str
    task_id: str


def shown_in(history: History, task: Task) -> tuple[Shown, ...]:
    """The samples of other tasks that were drawn with this one before the model's eyes. The prompts
    say so: no sample names what its demonstration was.
    """
    if task.reference is None:
        return ()
    texts = without_docstrings(task.reference).strip(), task.description.strip()
    found = (
        Shown(sample["sample_id"], group["task"]["task_id"])
        for ref, _ in history.objects(GROUPS.name, history.of("sample", "sample-shard"))
        for group in history.store.read_columns(ref, COLUMNS)
        if group["task"]["task_id"] != task.task_id
        for sample in group["samples"]
        if all(text in _said(sample["prompt"]) for text in texts)
    )
    return tuple(dict.fromkeys(found))


def _said(prompt: dict[str, Any]) -> str:
    turns = prompt["messages"] or ()
    return str(prompt["text"] or "\n".join(turn["content"] for turn in turns))
