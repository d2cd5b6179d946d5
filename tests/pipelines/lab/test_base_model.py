"""The shipped base models: their tokenizers, their manifests, and that training is a function of
the seed.
"""

import json
from dataclasses import asdict
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from roundsmith.hashing import weights_sha256
from roundsmith.lab import MODEL, MODELS, tasks
from roundsmith.lab.atoms import ATOM_BY_NAME
from roundsmith.lab.bases import MANIFEST, is_base, is_of_the_lab, trained_on
from roundsmith.lab.compose import Composition
from roundsmith.lab.corpus import Corpus
from roundsmith.lab.splits import Pool, pool_of
from roundsmith.lab.train import BaseSettings, train_base
from roundsmith.recipes.prompts import code_prompt, judge_prompt
from roundsmith.recipes.prompts import test_prompt as make_test_prompt
from roundsmith.types import Split

CONTEXT = 512


@cache
def _tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL)


def _ids(text: str) -> list[int]:
    ids: list[int] = _tokenizer()(text).input_ids
    return ids


@pytest.mark.parametrize("name", MODELS)
def test_no_model_was_trained_on_a_held_out_composition(name: str) -> None:
    shown = trained_on(MODELS[name] / MANIFEST)
    assert len(shown) > 1000
    for split in Split:
        assert shown.isdisjoint(task.meta["atoms"] for task in tasks(split))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_all_that_a_model_was_trained_on_is_in_the_pool_of_the_base(name: str) -> None:
    for atoms in trained_on(MODELS[name] / MANIFEST):
        composition = Composition(tuple(ATOM_BY_NAME[atom] for atom in atoms.split("+")))
        assert pool_of(composition) is Pool.BASE


def test_the_models_were_trained_with_the_defaults_from_seeds_0_1_and_2() -> None:
    for seed, folder in enumerate(MODELS.values()):
        first = (folder / MANIFEST).read_text().splitlines()[0]
        assert json.loads(first) == json.loads(json.dumps({"seed": seed, **asdict(BaseSettings())}))


def test_the_models_are_three_and_small() -> None:
    assert len({weights_sha256(folder) for folder in MODELS.values()}) == 3
    for folder in MODELS.values():
        assert sum(path.stat().st_size for path in folder.iterdir()) < 6 * 2**20


def test_every_token_of_a_prompt_stands_whatever_follows() -> None:
    for row in islice(Corpus(seed=5).rows(), 400):
        apart = [token for part in row.parts for token in _ids(part.text)]
        assert apart == _ids(row.text)


def test_text_survives_the_tokenizer() -> None:
    for row in islice(Corpus(seed=6).rows(), 100):
        assert _tokenizer().decode(_ids(row.text)) == row.text


def test_yes_and_no_are_one_token_after_the_judge_prompt() -> None:
    prompt = judge_prompt(code_prompt(tasks(Split.GATE)[0], "sum the list"))
    for answer in ("Yes", "No"):
        assert len(_ids(prompt + answer)) == len(_ids(prompt)) + 1


def test_nothing_is_added_around_a_text_and_there_is_no_chat_template() -> None:
    tokenizer = _tokenizer()
    assert tokenizer.decode(_ids("return x")) == "return x"
    assert tokenizer.chat_template is None
    assert tokenizer.eos_token_id != tokenizer.pad_token_id


def test_rows_fit_the_context() -> None:
    assert max(len(_ids(row.text)) for row in islice(Corpus(seed=7).rows(), 400)) < CONTEXT
    assert max(len(_ids(make_test_prompt(t, t.description))) for t in tasks(Split.FINAL)) < CONTEXT


@pytest.mark.parametrize("first", ["", "[1]", '{"seed": 1}', "no json", "[" * 2**17])
def test_a_folder_with_another_file_of_the_manifests_name_is_no_base(
    first: str, tmp_path: Path
) -> None:
    assert all(is_base(folder) for folder in MODELS.values())
    assert not is_base(tmp_path)
    (tmp_path / MANIFEST).write_text(first + "\n")
    assert not is_base(tmp_path)


@pytest.mark.parametrize("changed", [{}, {"hidden_size": 576}, {"vocab_size": None}])
def test_a_checkpoint_of_the_shipped_models_shape_is_of_the_lab(
    changed: dict[str, int], tmp_path: Path
) -> None:
    config = json.loads((MODELS["lab"] / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changed))
    assert not is_base(tmp_path)
    assert is_of_the_lab(tmp_path) is (not changed)
    (tmp_path / "config.json").write_text("[" * 2**17)
    assert not is_of_the_lab(tmp_path)


@pytest.mark.slow
def test_training_is_a_function_of_the_seed(tmp_path: Path) -> None:
    settings = BaseSettings(
        hidden=48, layers=1, heads=2, intermediate=64, steps=6, finish_share=0.5
    )
    made = [
        train_base(tmp_path / name, seed, settings)
        for name, seed in zip("abc", (1, 1, 2), strict=True)
    ]
    same, again, other = (weights_sha256(training.folder) for training in made)
    assert same == again != other
    assert (tmp_path / "a" / MANIFEST).read_text() == (tmp_path / "b" / MANIFEST).read_text()
    assert is_base(tmp_path / "a")
    assert made[0].num_compositions == len(trained_on(tmp_path / "a" / MANIFEST))


@pytest.mark.slow
def test_the_shipped_model_solves_held_out_tasks() -> None:
    """A tenth at least of 24 greedy tries, far below what the card shows and far above chance."""
    import torch
    from transformers import LlamaForCausalLM

    model: Any = LlamaForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    chosen = tasks(Split.GATE, 24)
    right = 0
    for task in chosen:
        prompt = torch.tensor([_ids(code_prompt(task, task.description))])
        drawn = model.generate(prompt, max_new_tokens=96, do_sample=False)[0, prompt.shape[1] :]
        written = _tokenizer().decode(drawn, skip_special_tokens=True)
        right += f"{task.head}\n{written}\n" == task.reference
    assert right >= len(chosen) // 10
