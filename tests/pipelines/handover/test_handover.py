"""What is handed over opens in others' libraries, says what it is, and goes to a hub."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]  # ships no types
import pytest
from typer.testing import CliRunner, Result

from roundsmith.cli import app
from roundsmith.commands.promotions import FILE, Rollback
from roundsmith.config import child_environment
from roundsmith.errors import ConfigError, PlatformError, StoreError
from roundsmith.handover import dataset
from roundsmith.handover.cards import data_card, model_card
from roundsmith.handover.hub import push
from roundsmith.handover.round import finished_round, taught
from roundsmith.lineage.history import History
from roundsmith.models.licence import known_licence, licence_of
from roundsmith.report.summary import Summary, to_json
from roundsmith.store import EXAMPLES, Manifest, step_key
from tests.pipelines.handover.hub_server import PART, Hub, hub
from tests.pipelines.lineage.made import MadeRun, made_run, next_round
from tests.pipelines.report.rounds import COST, RESULT
from tests.small_disk import grow, mounted
from tests.storages import EVERY, storage_url


def finished(folder: Path) -> MadeRun:
    """A hand-made run with its summary, as a run leaves it."""
    return reported_to(made_run(folder), folder)


def reported_to(run: MadeRun, folder: Path) -> MadeRun:
    """The same, with the summary of its round where a run leaves it."""
    number = run.context.round
    weights = run.checkpoint.stats["weights_sha256"]
    result = replace(RESULT, checkpoint_sha256=weights, round=number)
    text = to_json(Summary(result, COST))
    parents = tuple(m.hash for m in (run.tasks, run.model, run.rows, run.checkpoint))
    store = run.context.store
    config = {"round": number, "told": True}
    key = step_key("report", 1, config, parents)
    objects = (store.put_blob(text.encode()),)
    store.commit(Manifest("report", key, objects, parents, config, code_version="0.1.0+abc"))
    (folder / f"round-{number}").mkdir()
    (folder / f"round-{number}/summary.json").write_text(text)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> MadeRun:
    return finished(tmp_path_factory.mktemp("run"))


def folder_of(run: MadeRun) -> str:
    return str(Path(run.context.store.url).parent)


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def rows(run: MadeRun, tmp_path: Path) -> Path:
    out = tmp_path / "rows"
    done = command("export", "data", folder_of(run), "--out", str(out))
    assert done.exit_code == 0, done.output
    return out


def test_load_dataset_opens_the_rows_with_where_they_come_from(
    rows: Path, run: MadeRun, tmp_path: Path
) -> None:
    datasets: Any = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(rows), split="train", cache_dir=str(tmp_path / "cache"))
    expected = list(run.context.store.read_all(EXAMPLES, run.rows))
    assert loaded["id"][:] == [row.example_id for row in expected]
    assert loaded["completion"][:] == [row.completion for row in expected]
    assert loaded["prompt"][:] == [row.prompt for row in expected]
    assert set(loaded["licence"][:]) == {"Apache-2.0"}
    assert loaded["parents"][:] == [list(row.provenance.parents) for row in expected]
    card = (rows / "README.md").read_text()
    assert "license: apache-2.0\n" in card
    written = [row for row in expected if row.provenance.parents]
    model = run.model.stats["licence"]
    assert 0 < len(written) < len(expected)
    assert [name == model for name in loaded["model_licence"][:]] == [
        row in written for row in expected
    ]
    assert f"| roundsmith-lab | Apache-2.0 | {model} | {len(written)} |" in card
    gold = len(expected) - len(written)
    assert f"| roundsmith-lab | Apache-2.0 | no model | {gold} |" in card
    assert run.rows.hash in card


def test_no_row_is_lost_where_a_row_group_ends(run: MadeRun, tmp_path: Path) -> None:
    store = run.context.store
    first = next(store.read_all(EXAMPLES, run.rows))
    many = (replace(first, example_id=f"{n:064x}") for n in range(2 * dataset.ROWS_A_GROUP + 3))
    chosen = replace(run.rows, objects=(store.write_rows(EXAMPLES, many),))
    exported = dataset.export_rows(store, chosen, tmp_path / "rows", "", unknown_licences=True)
    files = (tmp_path / "rows/data" / EXAMPLES.name).glob("*.parquet")
    ids = [row["id"] for path in sorted(files) for row in pq.read_table(path).to_pylist()]
    assert ids == [f"{n:064x}" for n in range(2 * dataset.ROWS_A_GROUP + 3)]
    assert exported.rows == {EXAMPLES.name: len(ids)}


WORDS: tuple[object, ...] = (None, "", " ", "unknown", "NOASSERTION", "None", "Other", 7, [])


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("MIT", "MIT"),
        (" Apache-2.0 ", "Apache-2.0"),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        (["MIT", "BSD-3-Clause"], "BSD-3-Clause AND MIT"),
        (["MIT", None], ""),
        *((word, "") for word in WORDS),
    ],
)
def test_a_word_for_no_licence_is_none(named: object, expected: str) -> None:
    assert known_licence(named) == expected


@pytest.mark.parametrize("unknown", ["", "unknown", "NOASSERTION"])
def test_rows_of_unknown_licence_stay_at_home_unless_told(tmp_path: Path, unknown: str) -> None:
    run = finished(tmp_path)
    store = run.context.store
    known, *others = store.read_all(EXAMPLES, run.rows)
    bare = [replace(row, provenance=replace(row.provenance, licence=unknown)) for row in others]
    ref = store.write_rows(EXAMPLES, [known, *bare])
    store.discard(run.rows)
    store.commit(replace(run.rows, objects=(ref, *run.rows.objects[1:])))
    # The report names what it was made from by hash: it is made again on these rows.
    (report,) = [m for m in store.manifests("report") if m.config.get("told")]
    store.discard(report)
    rows = store.manifest(run.rows.step, run.rows.key)
    parents = tuple(rows.hash if p == run.rows.hash else p for p in report.parents)
    store.commit(replace(report, parents=parents))
    done = command("export", "data", str(tmp_path), "--out", str(tmp_path / "a"))
    assert done.output.endswith(f"1 examples; left out for their licence: {len(bare)}\n")
    everything = ["export", "data", str(tmp_path), "--out", str(tmp_path / "b")]
    done = command(*everything, "--unknown-licences")
    assert f"{1 + len(bare)} examples; left out for their licence: 0" in done.output
    assert 'license_name: "unknown, Apache-2.0"' in (tmp_path / "b/README.md").read_text()


def test_what_a_model_of_unknown_licence_wrote_stays_at_home_and_references_go(
    run: MadeRun, tmp_path: Path
) -> None:
    store = run.context.store
    gold = [r for r in store.read_all(EXAMPLES, run.rows) if not r.provenance.parents]
    known, every = (
        dataset.export_rows(store, run.rows, tmp_path / str(word), "", unknown_licences=word)
        for word in (False, True)
    )
    assert known.rows == {EXAMPLES.name: len(gold)}
    assert known.left_out == run.rows.rows - len(gold)
    assert every.rows == {EXAMPLES.name: run.rows.rows}


def test_the_header_of_a_data_set_names_the_licence_of_the_model_that_wrote_it(
    run: MadeRun, tmp_path: Path
) -> None:
    of = finished_round(folder_of(run), None)
    model = replace(run.model, stats={**run.model.stats, "licence": "openrail"})
    of = replace(of, first_model=model)
    assert of.model_licence == "openrail"
    given = (of.store, of.rows, tmp_path / "rows", of.model_licence)
    exported = dataset.export_rows(*given, unknown_licences=False)
    card = data_card(of, exported)
    assert 'license: other\nlicense_name: "Apache-2.0, openrail"' in card


def test_a_model_card_says_only_what_was(run: MadeRun) -> None:
    of = finished_round(folder_of(run), None)
    assert "on rows that it wrote itself and on references: recipe" in model_card(of, ())
    gold = replace(run.rows, stats={**run.rows.stats, "selected": 0})
    bare = {
        split: {k: replace(one, control=None) for k, one in by_k.items()}
        for split, by_k in of.result.pass_at_k.items()
    }
    lessons = tuple(replace(one, rows=gold) for one in of.taught)
    of = replace(of, rows=gold, taught=lessons, result=replace(of.result, pass_at_k=bare))
    card = model_card(of, ())
    assert "trained by Roundsmith on references alone: recipe" in card
    assert "The control is" not in card


def test_cards_do_not_tell_where_files_lay(run: MadeRun) -> None:
    of = finished_round(folder_of(run), None)
    result = replace(of.result, model="/home/me/models/base", tasks="s3://mine/sets/own.jsonl")
    card = model_card(replace(of, result=result), ())
    assert "# base after round" in card
    assert "On the tasks `own.jsonl`" in card
    assert "/home/me" not in card
    assert "s3://" not in card
    hub = replace(of, result=replace(of.result, model="org/name", tasks="lab"))
    assert "`org/name` trained by Roundsmith" in model_card(hub, ())
    assert "On the tasks `lab`" in model_card(hub, ())


def test_a_model_card_says_that_the_promotion_was_taken_back(tmp_path: Path) -> None:
    run = finished(tmp_path)
    shown = ["export", "checkpoint", folder_of(run), "--out"]
    assert command(*shown, str(tmp_path / "before")).exit_code == 0
    assert "taken back" not in (tmp_path / "before/README.md").read_text()
    weights = run.checkpoint.stats["weights_sha256"]
    taken = Rollback(run.decision.reference, 1, weights, "it loops", "2026-01-01T00:00:00Z")
    (tmp_path / FILE).write_text(json.dumps({"rollbacks": [asdict(taken)]}))
    assert command(*shown, str(tmp_path / "after")).exit_code == 0
    card = (tmp_path / "after/README.md").read_text()
    assert "**The promotion was taken back**: it loops." in card


def test_steps_of_a_model_card_are_of_all_stages_as_its_rows_are(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    store = run.context.store
    parents = (run.rows.hash, run.checkpoint.hash)
    stats = {**run.checkpoint.stats, "steps": 5}
    key = step_key("train", 1, {"number": 1}, parents)
    second = Manifest("train", key, run.checkpoint.objects, parents, {"number": 1}, stats)
    (one,) = taught(History(store), store.commit(second))
    assert one.steps == 5 + run.checkpoint.stats["steps"]


def test_a_model_card_names_the_rows_of_all_rounds_that_the_checkpoint_rests_on(
    tmp_path: Path,
) -> None:
    first = finished(tmp_path)
    second = reported_to(next_round(first, tmp_path), tmp_path)
    assert second.rows.hash != first.rows.hash
    done = command("export", "checkpoint", str(tmp_path), "--out", str(tmp_path / "checkpoint"))
    assert done.exit_code == 0, done.output
    card = (tmp_path / "checkpoint/README.md").read_text()
    for number, run in enumerate((first, second), 1):
        assert f"Round {number}: {run.rows.rows} rows for 3 steps: " in card
        assert run.rows.hash in card
    assert f"| roundsmith-lab | Apache-2.0 | {first.rows.rows + second.rows.rows} |" in card


def test_where_rows_of_an_earlier_round_are_gone_there_is_no_card_without_them(
    tmp_path: Path,
) -> None:
    first = finished(tmp_path)
    reported_to(next_round(first, tmp_path), tmp_path)
    first.context.store.discard(first.rows)
    done = command("export", "checkpoint", str(tmp_path), "--out", str(tmp_path / "checkpoint"))
    assert isinstance(done.exception, StoreError), done.output
    assert "saw some of it gone" in str(done.exception)
    assert not (tmp_path / "checkpoint/README.md").exists()


def test_auto_model_opens_the_checkpoint_with_its_card(run: MadeRun, tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    out = tmp_path / "checkpoint"
    done = command("export", "checkpoint", folder_of(run), "--out", str(out))
    assert done.exit_code == 0, done.output
    model = transformers.AutoModelForCausalLM.from_pretrained(out)
    assert model.num_parameters() > 10**6
    assert transformers.AutoTokenizer.from_pretrained(out)("def f(x):")["input_ids"]
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\nlibrary_name: transformers\n")
    assert run.checkpoint.stats["weights_sha256"] in card
    assert "| gate | pass@1 | 60 |" in card
    assert f"selected of what the model wrote, {run.rows.stats['gold']} references" in card


def test_a_folder_that_is_there_is_not_written_over(rows: Path, run: MadeRun) -> None:
    done = command("export", "data", folder_of(run), "--out", str(rows))
    assert isinstance(done.exception, ConfigError)
    done = command("export", "checkpoint", folder_of(run), "--out", str(rows))
    assert isinstance(done.exception, ConfigError)


@pytest.mark.parametrize(("what", "size"), [("data", "4k"), ("checkpoint", "1m")])
def test_a_full_disk_leaves_nothing_and_with_room_the_same_command_hands_over(
    run: MadeRun, tmp_path: Path, what: str, size: str
) -> None:
    with mounted(tmp_path / "small", size) as small:
        again = ("export", what, folder_of(run), "--out", str(small / "out"))
        done = command(*again)
        assert isinstance(done.exception, StoreError), done.output
        assert str(done.exception).startswith(str(small))
        assert "expected room to write, saw No space left on device" in str(done.exception)
        assert os.listdir(small) == []
        grow(small, "64m")
        done = command(*again)
        assert done.exit_code == 0, done.output
        assert (small / "out/README.md").stat().st_size > 0


def test_a_run_that_is_not_over_has_nothing_to_hand_over(tmp_path: Path) -> None:
    made_run(tmp_path)
    done = command("export", "data", str(tmp_path), "--out", str(tmp_path / "rows"))
    assert "saw none: give the --out of a run that is over" in str(done.exception)


@pytest.fixture
def served() -> Iterator[Hub]:
    with hub() as server:
        yield server


@pytest.mark.skipif("HF_HUB_OFFLINE" in os.environ, reason="the hub's client is told to stay home")
def test_a_push_makes_the_repository_and_gives_it_every_file(rows: Path, served: Hub) -> None:
    url = push(rows, "me/lab-rows", private=True, endpoint=served.url)
    assert url.endswith("/commit/1")
    (made,) = served.repositories
    assert (made["name"], made["organization"]) == ("lab-rows", "me")
    assert made["type"] == "dataset"
    names = {p.relative_to(rows).as_posix() for p in rows.rglob("*") if p.is_file()}
    assert served.files == {name: (rows / name).read_bytes() for name in names}


def test_a_large_file_goes_in_parts_and_is_not_sent_again(tmp_path: Path, served: Hub) -> None:
    served.large = PART
    weights = Random(1).randbytes(2 * PART + 5)
    for name, content in {"README.md": b"---\n", "model.safetensors": weights}.items():
        (tmp_path / name).write_bytes(content)
    hub = child_environment(HF_ENDPOINT=served.url, HF_HUB_OFFLINE="0", HF_HUB_DISABLE_XET="1")
    command = [sys.executable, "-m", "roundsmith.cli", "push", str(tmp_path), "me/model"]
    for _ in range(2):
        subprocess.run(command, env=hub, check=True)
        assert served.files.pop("model.safetensors") == weights
    assert sum(line.startswith("PUT") for line in served.asked) == 3


def test_a_hub_that_refuses_is_told_with_what_to_look_at(rows: Path, served: Hub) -> None:
    served.refuses = 403
    with pytest.raises(PlatformError, match="a token in HF_TOKEN that may write there"):
        push(rows, "me/lab-rows", private=False, endpoint=served.url)


def test_a_hub_that_is_not_there_is_told(rows: Path) -> None:
    with pytest.raises(PlatformError, match="check the connection"):
        push(rows, "me/lab-rows", private=False, endpoint="http://127.0.0.1:9")


def test_offline_nothing_is_pushed(rows: Path) -> None:
    arguments = ["push", str(rows), "me/lab-rows"]
    done = CliRunner().invoke(app, arguments, env={"HF_HUB_OFFLINE": "1"})
    assert isinstance(done.exception, ConfigError)
    assert "saw HF_HUB_OFFLINE: unset it" in str(done.exception)


@pytest.mark.parametrize("kind", EVERY)
def test_of_a_run_without_a_finished_round_it_is_said_where_one_was_looked_for(
    kind: str, tmp_path: Path
) -> None:
    at = f"{storage_url(kind, tmp_path)}/runs/first"
    asked = (None, "a finished round"), (2, "round 2")
    for number, wanted in asked:
        with pytest.raises(ConfigError) as refused:
            finished_round(at, number)
        said = str(refused.value)
        if kind == "folder":
            assert said.startswith(f"{at}: expected the folder of a run with {wanted}, saw none:")
            assert "--out" in said
        else:
            assert said.startswith(f"{at}: expected the URL of a run with {wanted}, saw none:")
            assert "folder" not in said
            assert "--out" not in said


def test_a_folder_that_nothing_exported_is_not_pushed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a folder that `roundsmith export` wrote"):
        push(tmp_path, "me/x", private=False)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ('---\ntags: [a]\nlicense: "apache-2.0"\n---\n# x\nlicense: no\n', "apache-2.0"),
        ("---\nlicense: other\n---\n", ""),
        ("# license: mit\n", ""),
        ("", ""),
    ],
)
def test_the_licence_of_a_model_is_what_its_card_says(
    tmp_path: Path, card: str, licence: str
) -> None:
    (tmp_path / "README.md").write_text(card)
    assert licence_of(tmp_path) == licence
    assert json.dumps(licence)
