"""A training from rows to a model folder, in this process."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from roundsmith.errors import ConfigError, EngineError
from roundsmith.hashing import file_sha256, weights_sha256
from roundsmith.models.rendering import encode, render
from roundsmith.training.loading import load
from roundsmith.training.progress import read_progress
from roundsmith.training.run import train
from roundsmith.training.sft import encode as encode_row
from roundsmith.types import ChatMessage
from tests.pipelines.training.conftest import MakeJob, built, example


def test_a_training_ends_with_a_model_folder_and_a_line_for_each_step(
    make_job: MakeJob, model: Path
) -> None:
    job = make_job()
    result = train(job)
    lines = list(read_progress(job.out / "progress.jsonl"))
    assert [(line.step, line.of) for line in lines] == [(step, 6) for step in range(1, 7)]
    assert lines[-1].loss < lines[0].loss
    assert (result.steps, result.num_rows, result.num_dropped_rows) == (6, 24, 0)
    assert (result.dtype, result.device) == ("float32", "cpu")
    assert result.weights_sha256 == weights_sha256(job.out / "model") != weights_sha256(model)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert file_sha256(job.out / "model" / name) == file_sha256(model / name)
    assert not (job.out / "checkpoints").exists()


def test_the_learning_rate_warms_up_from_a_part_and_decays_to_zero(make_job: MakeJob) -> None:
    job = make_job()
    train(job)
    rates = [line.learning_rate for line in read_progress(job.out / "progress.jsonl")]
    assert rates == pytest.approx([2.5e-4, 6.25e-4, 1e-3, 7.5e-4, 5e-4, 2.5e-4])


def test_the_same_job_gives_the_same_weights_and_another_seed_others(make_job: MakeJob) -> None:
    one, two = train(make_job(out="one")), train(make_job(out="two"))
    other = train(make_job(out="three", seed=1))
    assert one.weights_sha256 == two.weights_sha256 != other.weights_sha256


def test_a_finished_training_is_only_read(make_job: MakeJob) -> None:
    job = make_job()
    result = train(job)
    before = {path: path.stat().st_mtime_ns for path in (job.out / "model").iterdir()}
    assert train(job) == result
    assert {path: path.stat().st_mtime_ns for path in (job.out / "model").iterdir()} == before


def test_the_loss_is_the_mean_over_completion_and_end_token_alone(
    make_job: MakeJob, model: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = [example(0, "ab", "c = 1"), example(1, "a longer prompt: ", "d")]
    job = make_job(rows, batch_size=2, max_steps=1)
    train(job)
    (line,) = read_progress(job.out / "progress.jsonl")

    network = AutoModelForCausalLM.from_pretrained(model)
    tokenizer = AutoTokenizer.from_pretrained(model)
    total, count = 0.0, 0
    for row in rows:
        prompt = tokenizer(row.prompt)["input_ids"]
        answer = [*tokenizer(row.completion, add_special_tokens=False)["input_ids"], 1]
        with torch.no_grad():
            logits = network(torch.tensor([prompt + answer])).logits[0]
        logprobs = logits.log_softmax(-1)
        total -= sum(float(logprobs[len(prompt) - 1 + i, t]) for i, t in enumerate(answer))
        count += len(answer)
    assert tokenizer.eos_token_id == 1
    assert line.loss == pytest.approx(total / count, rel=1e-5)


def test_the_loss_is_the_mean_over_all_tokens_on_a_case_worked_by_hand(make_job: MakeJob) -> None:
    """Of a model to which all V tokens are as likely, the loss is ln V. One that says 6, with a
    logit of 1000 above the others, loses 0 on each 6 and 1000 on any other token. The rows here say
    7, and 6 8 6: the mean over tokens is 2000 / 4 = 500, where one over rows were 666.7.
    """
    import torch

    trainer = built(make_job([example(0)]))
    rows = [{"input_ids": [5, 7], "labels": [-100, 7]}]
    rows += [{"input_ids": [5, 6, 8, 6], "labels": [-100, 6, 8, 6]}]
    batch, model = trainer.data_collator(rows), trainer.model
    model.lm_head = torch.nn.Linear(model.config.hidden_size, model.config.vocab_size, bias=False)
    head = model.lm_head.weight  # its own, not the embedding's
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(1.0)  # with no layer, ones before the head
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.norm.weight.fill_(1.0)
        head.zero_()
    loss = trainer.compute_loss(model, batch)
    assert float(loss.detach()) == pytest.approx(math.log(len(head)), abs=1e-5)
    with torch.no_grad():
        head[6] = 1000.0 / head.shape[1]
    loss = trainer.compute_loss(model, batch)
    assert float(loss.detach()) == pytest.approx(500.0, rel=1e-4)


def test_rows_are_tokenized_as_the_generator_does(make_job: MakeJob) -> None:
    _, coder = load(make_job())
    chat = (ChatMessage("user", "add one"), ChatMessage("assistant", "def f(a):\n"))
    for prompt in ("def f(a):\n", chat, (5, 6, 7)):
        (row,) = encode_row(coder, example(0, prompt, "    return a"))
        given = render(coder.tokenizer, prompt, coder.vocabulary)
        answer = [*encode(coder.tokenizer, "    return a"), coder.tokenizer.eos_token_id]
        assert row["input_ids"] == given + answer
        assert row["labels"] == [-100] * len(given) + answer
    (row,) = encode_row(coder, example(0, chat, "!"))
    text = coder.tokenizer.decode(row["input_ids"])
    assert text == "<user>add one</s><assistant>def f(a):\n!</s>"


def test_rows_that_are_too_long_are_dropped_and_counted(make_job: MakeJob) -> None:
    long = [example(i, "x = 1\n" * 40) for i in range(3)]
    result = train(make_job([example(i) for i in range(8)] + long, max_length=60, max_steps=2))
    assert (result.num_rows, result.num_dropped_rows) == (8, 3)


def test_a_row_beyond_the_context_of_the_model_is_too_long(make_job: MakeJob) -> None:
    _, coder = load(make_job(max_length=10_000))
    assert coder.max_length == 256


def test_max_steps_is_exact_for_few_rows_and_many(make_job: MakeJob) -> None:
    few = train(make_job([example(i) for i in range(3)], out="few", max_steps=5))
    many = train(make_job([example(i) for i in range(90)], out="many", max_steps=5))
    assert few.steps == many.steps == 5
    for out in ("few", "many"):
        assert len(list(read_progress(make_job(out=out).out / "progress.jsonl"))) == 5


def test_the_size_of_a_forward_pass_changes_nothing_but_rounding(make_job: MakeJob) -> None:
    losses = []
    for size in (1, 8):
        job = make_job(out=f"micro-{size}", micro_batch_size=size)
        train(job)
        losses.append([line.loss for line in read_progress(job.out / "progress.jsonl")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_bfloat16_arithmetic_keeps_float32_weights(make_job: MakeJob) -> None:
    from safetensors.torch import load_file

    job = make_job(dtype="bfloat16", max_steps=2)
    assert train(job).dtype == "bfloat16"
    weights = load_file(job.out / "model" / "model.safetensors")
    assert {str(tensor.dtype) for tensor in weights.values()} == {"torch.float32"}


@pytest.mark.parametrize("finished", [True, False])
def test_another_job_in_the_same_folder_is_refused(make_job: MakeJob, finished: bool) -> None:
    job = make_job()
    train(job)
    if not finished:
        shutil.rmtree(job.out / "model")
    with pytest.raises(ConfigError, match=r"saw another .*give another out folder"):
        train(make_job(seed=7))


def test_a_loss_that_is_not_a_number_stops_the_training(make_job: MakeJob) -> None:
    with pytest.raises(EngineError, match="expected a finite loss, saw"):
        train(make_job(learning_rate=1e30, max_grad_norm=1e30, max_steps=20, weight_decay=0))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": ()}, "rows"),
        ({"epochs": 0}, "epochs"),
        ({"objective": "nosuch"}, "objective"),
        ({"learning_rat": 1.0}, "learning_rat"),
    ],
)
def test_a_job_that_is_wrong_is_refused_by_its_field(
    make_job: MakeJob, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    fields = json.loads(make_job().model_dump_json()) | changed
    path = tmp_path / "job.json"
    path.write_text(json.dumps(fields))
    with pytest.raises(ConfigError, match=message):
        type(make_job()).read(path)


def test_no_rows_at_all_is_an_error(make_job: MakeJob) -> None:
    with pytest.raises(ConfigError, match="expected examples of at most 256 tokens, saw none"):
        train(make_job([]))


def test_a_folder_without_weights_is_an_error(make_job: MakeJob, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match=r"expected \*\.safetensors"):
        train(make_job(model=empty))


def test_a_model_with_code_of_its_own_is_trained_where_that_is_trusted(
    make_job: MakeJob, model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(model, tmp_path / "own")
    (folder / "modeling_own.py").write_text(
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "class OwnConfig(LlamaConfig):\n    model_type = 'own-of-a-test'\n"
        "class OwnForCausalLM(LlamaForCausalLM):\n    config_class = OwnConfig\n"
    )
    classes = {"AutoConfig": "OwnConfig", "AutoModelForCausalLM": "OwnForCausalLM"}
    own = {
        "model_type": "own-of-a-test",
        "auto_map": {name: f"modeling_own.{value}" for name, value in classes.items()},
    }
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | own))
    with pytest.raises(ConfigError, match="trust_remote_code"):
        train(make_job(model=folder, max_steps=1))
    job = make_job(model=folder, max_steps=1, trust_remote_code=True)
    train(job)
    code = job.out / "model" / "modeling_own.py"
    assert code.read_bytes() == (folder / "modeling_own.py").read_bytes()
    load(job.model_copy(update={"model": job.out / "model"}))
