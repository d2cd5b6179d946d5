"""Hand-made runs for all tests that only read them."""

from dataclasses import replace
from pathlib import Path

import pytest

from roundsmith.commands.exported import export
from roundsmith.report.summary import Summary, to_json
from roundsmith.round import RoundRefs
from roundsmith.store import RESULTS, Manifest, step_key
from tests.pipelines.lineage.made import MadeRun, made_run, next_round, reported
from tests.pipelines.report.rounds import COST, RESULT


@pytest.fixture(scope="session")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeRun, MadeRun]:
    """Two rounds of one run; the second begins with the first one's checkpoint."""
    folder: Path = tmp_path_factory.mktemp("made")
    first = made_run(folder)
    return first, next_round(first, folder, promoted=False)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a hand-made run with its round, as `roundsmith run` exports it."""
    folder = tmp_path_factory.mktemp("run")
    run = made_run(folder)
    result = replace(RESULT, checkpoint_sha256=run.checkpoint.stats["weights_sha256"], round=1)
    store, parents = run.context.store, tuple(m.hash for m in reported(run))
    texts = (to_json(Summary(result, COST)), "<html></html>")
    objects = [*(store.put_blob(text.encode()) for text in texts), store.write_rows(RESULTS, ())]
    config = {"round": 1, "preset": "lab"}
    key = step_key("report", 5, config, parents)
    report = store.commit(Manifest("report", key, tuple(objects), parents, config))
    export(run.context, _refs(run, report), folder / "round-1")
    return folder


def _refs(run: MadeRun, report: Manifest) -> RoundRefs[str]:
    made = (run.tasks, run.model, run.sampled, run.scored, run.rows, run.checkpoint)
    judged = (run.before, run.after, run.decision, report)
    return RoundRefs(*(manifest.reference for manifest in (*made, *judged)))
