"""What a store says of itself, computed again: hashes, ids, parents."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from roundsmith.errors import RoundsmithError, StoreError
from roundsmith.hashing import is_weight_file, weights_version
from roundsmith.lineage.find import ROW_KINDS
from roundsmith.lineage.history import GROUP_STEPS, MODEL_STEPS, ROW_STEPS, History
from roundsmith.recipes.identities import computed_row_id, draw_seed, row_id, sample_id
from roundsmith.store import EVALS, GROUPS, Manifest, ObjectRef, Store
from roundsmith.types import Group, Kind


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not what it says it is."""

    check: str
    where: str
    seen: str


@dataclass
class Findings:
    """How much was looked at, by what was checked, and what is wrong with it."""

    checked: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    def expect(self, check: str, where: str, problem: str | None) -> None:
        """Counts one thing that was checked, and keeps what is wrong with it."""
        self.checked[check] += 1
        if problem is not None:
            self.problems.append(Problem(check, where, problem))


def check_hashes(store: Store, findings: Findings) -> None:
    """Every manifest against its own hash, every object against its name, every stored model
    against its weight version.
    """
    seen: set[str] = set()
    for step, key in store.references():
        try:
            manifest = store.manifest(step, key)
        except StoreError as error:
            findings.expect("manifests", f"{step}/{key}", str(error))
            continue
        findings.expect("manifests", manifest.reference, _misnamed(manifest, step, key))
        for ref in manifest.objects:
            if ref.hash not in seen:
                seen.add(ref.hash)
                findings.expect("objects", f"objects/{ref.hash}", _raised(store.check, ref))
            if ref.kind == "folder":
                _check_folder(store, manifest, ref, findings)


def check_rows(history: History, findings: Findings) -> None:
    """The id of every sample and row; that no sample rests on an unresolved verdict, and that every
    parent of a row is a sample of the groups that its step was given.
    """
    store = history.store
    for ref, manifest in history.objects(GROUPS.name, history.of(*GROUP_STEPS)):
        for group in store.read_rows(GROUPS, ref):
            _check_group(group, manifest, findings)
    for manifest in history.of(*ROW_STEPS):
        known = _sample_ids(history, manifest)
        for kind in ROW_KINDS:
            for ref in manifest.of_kind(kind.name):
                for row in store.read_rows(kind, ref):
                    name = row_id(row)
                    wrong = None if computed_row_id(row) == name else "its id is not its hash"
                    findings.expect("rows", name, wrong)
                    lost = [p for p in row.provenance.parents if p not in known]
                    wrong = f"expected its parent {lost[0]} among the samples" if lost else None
                    findings.expect("parents of rows", name, wrong)


def check_evaluations(history: History, findings: Findings) -> None:
    """That every sample of an evaluation was drawn with the seed that follows from the run's and by
    the weights of the model that was evaluated. Rows of an earlier version do not tell either.
    """
    for ref, manifest in history.objects(EVALS.name, history.of("evaluate", "evaluate-shard")):
        models = [m for m in history.parents(manifest) if m.step in MODEL_STEPS]
        weights = {model.stats["weights_sha256"] for model in models}
        for record in history.store.read_rows(EVALS, ref):
            if record.seed is None:
                continue
            seed = draw_seed(manifest.config["seed"], 0, record.task_id, Kind.CODE, 0)
            wrong = None
            if record.seed != seed:
                wrong = f"expected seed {seed}, saw {record.seed}"
            elif weights and record.weights_sha256 not in weights:
                wrong = f"expected weights {weights.pop()}, saw {record.weights_sha256}"
            where = f"{record.sample_id} of {manifest.reference}"
            findings.expect("evaluation samples", where, wrong)


def _check_folder(store: Store, manifest: Manifest, ref: ObjectRef, findings: Findings) -> None:
    try:
        files = list(store.files(ref))
        weights = {name: file.hash for name, file in files if is_weight_file(name)}
        version = weights_version(weights)
        told = store.folder(ref).weights_sha256
    except StoreError:
        return  # told of as an object
    for name, file in files:
        where = f"objects/{file.hash} ({name} of {manifest.reference})"
        findings.expect("model files", where, _raised(store.check, file))
    wrong = None if told == version else f"expected weights {told}, its files are {version}"
    findings.expect("model folders", manifest.reference, wrong)


def _check_group(group: Group, manifest: Manifest, findings: Findings) -> None:
    unresolved = {o.code_id for o in group.outcomes if not o.verdict.resolved}
    for sample in group.samples:
        wrong = None
        if sample_id(sample) != sample.sample_id:
            wrong = "its id is not its hash"
        elif sample.sample_id in unresolved:
            wrong = "it rests on a verdict that was never resolved"
        findings.expect("samples", f"{sample.sample_id} of {manifest.reference}", wrong)


def _sample_ids(history: History, manifest: Manifest) -> set[str]:
    given = [m for m in history.ancestors(manifest) if m.step in GROUP_STEPS]
    return {
        sample.sample_id
        for ref, _ in history.objects(GROUPS.name, given)
        for group in history.store.read_rows(GROUPS, ref)
        for sample in group.samples
    }


def _misnamed(manifest: Manifest, step: str, key: str) -> str | None:
    same = (manifest.step, manifest.key) == (step, key)
    return None if same else f"it is the manifest of {manifest.reference}"


def _raised(work: Callable[..., Any], *arguments: Any) -> str | None:
    try:
        work(*arguments)
    except RoundsmithError as error:
        return str(error)
    return None
