"""`docs/formats.md` says what is written, and a format that changes needs a new version."""

import ast
import json
import re
from dataclasses import fields
from pathlib import Path

from roundsmith.hashing import content_hash, derive_seed, weights_sha256
from roundsmith.store import KINDS, Manifest, manifest
from roundsmith.store.folders import FOLDER_VERSION
from roundsmith.store.values import value_text
from roundsmith.training import TrainingResult
from roundsmith.training.progress import Progress
from tests.pipelines.store.description import described, with_nested

DOC = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
FINGERPRINTS = json.loads(Path(__file__).with_name("fingerprints.json").read_text())


def table(heading: str, first_column: str = "column") -> list[list[str]]:
    """The cells of the first table after a heading whose first column has that name."""
    after = DOC[DOC.index(heading) :]
    lines = after[after.index(f"| {first_column} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def code(cell: str) -> str:
    return cell.strip("`")


def test_the_vectors_of_content_hashes_hold() -> None:
    for parts, expected in table("## Hashes", "parts"):
        assert content_hash(*json.loads(code(parts))) == code(expected)


def test_the_vectors_of_seeds_hold() -> None:
    for path, expected in table("## Hashes", "seed and path"):
        assert str(derive_seed(*json.loads(code(path)))) == code(expected)


def test_the_vector_of_weight_versions_holds(tmp_path: Path) -> None:
    ((files, expected),) = table("## Hashes", "files")
    for name, content in json.loads(code(files)).items():
        (tmp_path / name).write_text(content)
    (tmp_path / "README.md").write_text("not part of it")
    assert weights_sha256(tmp_path) == code(expected)


def test_the_texts_of_values_hold() -> None:
    texts = {code(value): code(text) for value, text in table("**Value text**", "value")}
    assert texts.pop('float("nan")') == value_text(float("nan"))
    texts["frozenset(())"] = texts.pop("frozenset()")
    for value, text in texts.items():
        literal = frozenset() if value.startswith("frozenset") else ast.literal_eval(value)
        assert value_text(literal) == text


def test_every_column_is_documented_with_its_type() -> None:
    for name, columns in described().items():
        heading = f"\n### `{name}`, schema version" if name in KINDS else f"\n#### `{name}`\n"
        documented = [(code(cells[0]), cells[1]) for cells in table(heading)]
        assert documented == columns, name


def test_the_versions_in_the_doc_are_those_of_the_code() -> None:
    for kind in KINDS.values():
        assert f"### `{kind.name}`, schema version {kind.version}\n" in DOC
    assert f"### Manifest, schema version {manifest.SCHEMA_VERSION}\n" in DOC
    assert f"### Folder, schema version {FOLDER_VERSION}\n" in DOC


def test_a_schema_of_rows_changes_only_with_its_version() -> None:
    for kind in KINDS.values():
        fingerprint = content_hash(with_nested(kind.name))
        assert FINGERPRINTS[kind.name][str(kind.version)] == fingerprint, kind.name


def test_the_manifest_changes_only_with_its_version() -> None:
    text = manifest.manifest_text(Manifest("step", "0" * 64, (manifest.ObjectRef("h", "k", 1, 2),)))
    written = json.loads(text)
    fingerprint = content_hash(sorted(written), sorted(written["objects"][0]), written["hash"])
    assert FINGERPRINTS["manifest"][str(manifest.SCHEMA_VERSION)] == fingerprint
    assert {code(cells[0]) for cells in table("### Manifest", "field")} == set(written)


def test_the_files_of_a_training_are_documented() -> None:
    for kind in (TrainingResult, Progress):
        for field in fields(kind):
            assert re.search(rf"\| .*`{field.name}`.* \|", DOC[DOC.index("## Training") :])
