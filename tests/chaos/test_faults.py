"""Faults that are no kill: sandboxes that fail, damaged shards, a full disk, a node's last warning,
two runs on one root. What comes out is what an undisturbed run makes.
"""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roundsmith.platform.local import LocalPlatform
from roundsmith.store import GROUPS, Store
from roundsmith.types import Group
from tests.chaos.kills import differences, settings_file, wait_for
from tests.chaos.played import OtherExecutor, faulty_executor, play_with, small_config
from tests.pipelines.round.lab_round import command, play
from tests.small_disk import mounted

pytestmark = pytest.mark.slow


def groups(out: Path) -> list[Group]:
    """What a run sampled, with all its outcomes."""
    store = Store(str(out / "store"))
    return [g for m in store.manifests("sample") for g in store.read_all(GROUPS, m)]


def test_a_sandbox_that_fails_on_one_cell_in_five_leaves_every_label_as_it_is(
    undisturbed: Path, tmp_path: Path
) -> None:
    config, out = small_config(tmp_path), tmp_path / "run"
    with faulty_executor(tmp_path, 0.2) as address:
        play_with(config, out, OtherExecutor(config, (out / "work").resolve(), address))
    faults, cells = map(int, (tmp_path / "executor.counts").read_text().split())
    assert 0.15 < faults / cells < 0.25
    assert faults > 100
    labels = [
        [(o.code_id, o.test_id, o.label) for group in groups(run) for o in group.outcomes]
        for run in (out, undisturbed)
    ]
    assert labels[0] == labels[1]
    assert differences(out, undisturbed) == []


def test_damaged_shards_are_never_read_and_made_anew(undisturbed: Path, tmp_path: Path) -> None:
    options = ("--config", str(settings_file(tmp_path)))
    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    store = Store(str(out / "store"))
    before = json.loads((out / "round-1/summary.json").read_text())["result"]
    checkpoint = next(
        m
        for m in store.manifests("train")
        if m.stats["weights_sha256"] == before["checkpoint_sha256"]
    )
    damaged = [
        next(iter(store.manifests("tasks"))).objects[0],
        next(iter(store.manifests("sample"))).objects[0],
        next(iter(store.manifests("score"))).objects[1],
        next(iter(store.manifests("select"))).objects[0],
        max((f for _, f in store.files(checkpoint.objects[0])), key=lambda file: file.bytes),
    ]
    for ref in damaged:
        path = out / "store/objects" / ref.hash
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    told = play(out, *options)
    assert told.count("taken back: ") == len(damaged)
    assert all(ref.hash in told for ref in damaged)
    for ref in damaged:
        store.check(ref)
    assert differences(out, undisturbed) == []


def test_a_full_disk_is_a_clear_stop_and_with_room_the_run_goes_on(
    undisturbed: Path, tmp_path: Path
) -> None:
    options = ("--config", str(settings_file(tmp_path)))
    stops = 0
    with mounted(tmp_path / "small", "24m") as disk:
        out = disk / "run"
        for size in range(64, 600, 40):
            done = subprocess.run(
                command(out, *options), capture_output=True, text=True, timeout=1800, check=False
            )
            if done.returncode == 0:
                break
            assert done.returncode == 1, done.stderr[-3000:]
            assert "free space" in done.stderr, done.stderr[-3000:]
            assert "Traceback" not in done.stderr, done.stderr[-3000:]
            stops += 1
            subprocess.run(["mount", "-o", f"remount,size={size}m", str(disk)], check=True)
        assert done.returncode == 0
        assert stops > 0
        assert differences(out, undisturbed) == []


def test_a_nodes_last_warning_ends_a_run_in_order_and_it_goes_on(
    undisturbed: Path, tmp_path: Path
) -> None:
    options, out = ("--config", str(settings_file(tmp_path))), tmp_path / "run"
    ready = out / "work/services/generator.ready"
    with (tmp_path / "log").open("wb") as log:
        run = subprocess.Popen(command(out, *options), stdout=log, stderr=log)
    wait_for(ready)
    time.sleep(2.0)
    run.send_signal(signal.SIGTERM)
    assert run.wait(timeout=600) == 130
    assert "interrupted: run the same command again" in (tmp_path / "log").read_text()
    play(out, *options)
    assert differences(out, undisturbed) == []


SHARED = """
import sys
from pathlib import Path
from roundsmith.platform.local import LocalPlatform
from tests.chaos.played import play_with, small_config
out, store = Path(sys.argv[1]), sys.argv[2]
config = small_config(out)
play_with(config, out / "run", LocalPlatform(config, (out / "work").resolve()), store)
"""


def test_two_runs_at_once_on_one_root_make_one_run(undisturbed: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    runs = [
        subprocess.Popen([sys.executable, "-c", SHARED, str(tmp_path / name), str(store)])
        for name in ("one", "two")
    ]
    assert [run.wait(timeout=1800) for run in runs] == [0, 0]
    results = [
        json.loads((folder / "round-1/summary.json").read_text())["result"]
        for folder in (tmp_path / "one/run", tmp_path / "two/run", undisturbed)
    ]
    assert results[0] == results[1] == results[2]
    names = [
        sorted(m.reference for m in Store(str(root)).every_manifest())
        for root in (store, undisturbed / "store")
    ]
    assert names[0] == names[1], "each piece of work is committed once"


def test_a_run_folder_is_held_by_one_run(tmp_path: Path) -> None:
    config, out = small_config(tmp_path), tmp_path / "run"
    from roundsmith.commands.run import only_run
    from roundsmith.errors import ConfigError

    out.mkdir()
    with only_run(out), pytest.raises(ConfigError, match="expected no other run in this folder"):
        play_with(config, out, LocalPlatform(config, out / "work"))
