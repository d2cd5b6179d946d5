"""Training on preferences: the losses of dpo and kto, resumed, shared, and by adapters."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from roundsmith.children import Child, execute
from roundsmith.errors import ConfigError
from roundsmith.training import TrainingJob, launch
from roundsmith.training.kto import mismatched
from roundsmith.training.progress import read_progress
from roundsmith.training.run import train
from roundsmith.types import Pair, Provenance
from tests.pipelines.training.conftest import MakeJob, built, pair
from tests.pipelines.training.doomed import cut_short


def losses(job: TrainingJob) -> list[float]:
    return [line.loss for line in read_progress(job.out / "progress.jsonl")]


def even(trainer: Any) -> float:
    """Makes the trainer's model say that every token is as likely as any; ln of their number."""
    with torch.no_grad():
        trainer.model.get_output_embeddings().weight.zero_()
    return math.log(len(trainer.model.get_output_embeddings().weight))


def test_the_loss_of_dpo_is_the_papers_on_a_case_worked_by_hand(make_pair_job: MakeJob) -> None:
    """Every token has log-probability -ln V. Chosen has 3 tokens, rejected 2, so

        log pi(y+|x) = -3 ln V    log ref(y+|x) = -3 ln V - 2    ratio of chosen    2
        log pi(y-|x) = -2 ln V    log ref(y-|x) = -2 ln V + 1    ratio of rejected -1

    and with beta = 0.5 the loss is -log sigmoid(0.5 * (2 - -1)) = log(1 + e^-1.5) = 0.201413.
    """
    trainer = built(make_pair_job(beta=0.5))
    log_v = even(trainer)
    row = {"prompt_ids": [5, 6], "chosen_ids": [7, 8, 1], "rejected_ids": [9, 1]}
    reference = {"ref_chosen_logps": -3 * log_v - 2, "ref_rejected_logps": -2 * log_v + 1}
    loss = trainer.compute_loss(trainer.model, trainer.data_collator([row | reference]))
    assert float(loss.detach()) == pytest.approx(0.201413, abs=1e-6)


def test_the_loss_of_kto_is_the_papers_on_a_case_worked_by_hand(make_pair_job: MakeJob) -> None:
    """Two rows of one forward pass, every token with log-probability -ln V. The reference makes

        r = 2 of the chosen row (weight 1), r = 1 of the rejected row (weight 3),
        and of the mismatched completions 0.9 and 0.1, so z = 0.5.

    With beta = 0.5: chosen 1 - sigmoid(0.5 * (2 - 0.5)) = 1 - 0.679179 = 0.320821, rejected
    3 * (1 - sigmoid(0.5 * (0.5 - 1))) = 3 * 0.562177 = 1.686530; their mean is 1.003675.
    """
    job = make_pair_job(objective="kto", beta=0.5, undesirable_weight=3.0)
    trainer = built(job)
    log_v = even(trainer)
    rows = [
        {"prompt_ids": [5], "completion_ids": [7, 1], "KL_completion_ids": [9, 9, 1]},
        {"prompt_ids": [6], "completion_ids": [9, 9, 1], "KL_completion_ids": [7, 1]},
    ]
    known = [
        {"label": True, "ref_logps": -2 * log_v - 2, "ref_KL_logps": -3 * log_v - 0.9},
        {"label": False, "ref_logps": -3 * log_v - 1, "ref_KL_logps": -2 * log_v - 0.1},
    ]
    both = [row | more for row, more in zip(rows, known, strict=True)]
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(both))
    assert float(loss.detach()) == pytest.approx(1.003675, abs=1e-6)


def test_what_was_not_trained_yet_has_the_loss_of_an_even_choice(make_pair_job: MakeJob) -> None:
    """The policy is the reference: -log sigmoid(0) = ln 2 for dpo, 1 - sigmoid(0) = 1/2 for kto."""
    for objective, first in (("dpo", math.log(2)), ("kto", 0.5)):
        job = make_pair_job(objective=objective, out=objective, epochs=4)
        train(job)
        assert losses(job)[0] == pytest.approx(first, abs=1e-5)
        assert losses(job)[-1] < 0.9 * first


def test_dpo_makes_the_chosen_likelier_beside_the_rejected(
    make_pair_job: MakeJob, model: Path
) -> None:
    job = make_pair_job(epochs=4)
    train(job)
    assert log_odds(job.out / "model", pair(1)) > log_odds(model, pair(1)) + 1


def log_odds(folder: Path, row: Pair) -> float:
    """The summed log-probability of chosen and end token, less that of rejected."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer(row.prompt)["input_ids"]
    total = 0.0
    for text, sign in ((row.chosen, 1), (row.rejected, -1)):
        answer = [*tokenizer(text, add_special_tokens=False)["input_ids"], 1]
        with torch.no_grad():
            logprobs = network(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        total += sign * sum(float(logprobs[len(prompt) - 1 + i, t]) for i, t in enumerate(answer))
    return total


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_a_preference_training_cut_short_ends_with_bitwise_the_same_weights(
    make_pair_job: MakeJob, objective: str
) -> None:
    settings = {"max_steps": 10, "checkpoint_every_steps": 3, "objective": objective}
    undisturbed = train(make_pair_job(out="undisturbed", **settings))
    job = make_pair_job(out="killed", **settings)
    cut_short(job, 7)
    assert list((job.out / "checkpoints").iterdir())
    assert train(job) == undisturbed
    assert [line.step for line in read_progress(job.out / "progress.jsonl")] == list(range(1, 11))


async def nameless(
    module: str,
    arguments: Sequence[str],
    output: BinaryIO,
    environment: Mapping[str, str],
    own_session: bool,
) -> Child:
    """As `execute`, on a machine without a name."""
    words = [module, *arguments]
    here = "tests.pipelines.training.nameless"
    return await execute(here, words, output, environment, own_session)


@pytest.mark.slow
def test_two_processes_learn_the_same_preferences_up_to_rounding_though_the_machine_has_no_name(
    make_pair_job: MakeJob,
) -> None:
    """By kto, whose loss looks at other rows; dpo's two processes are in `test_sharded`."""
    alone, shared = (make_pair_job(out=out, objective="kto") for out in ("alone", "shared"))
    train(alone)
    asyncio.run(launch(shared, nproc=2, start=nameless))
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)


def test_a_pair_is_dropped_whole_when_one_of_its_sides_is_too_long(make_pair_job: MakeJob) -> None:
    long = Pair("long", "def f(a):\n", "x = 1\n" * 40, "y", Provenance("t", "dstc", 1))
    for objective, rows in (("dpo", 8), ("kto", 16)):
        job = make_pair_job(
            [pair(i) for i in range(8)] + [long],
            out=objective,
            objective=objective,
            max_length=60,
            max_steps=1,
        )
        result = train(job)
        assert (result.num_rows, result.num_dropped_rows) == (rows, 1)


def test_no_pairs_at_all_is_an_error(make_pair_job: MakeJob) -> None:
    with pytest.raises(ConfigError, match="expected pairs of at most 256 tokens, saw none"):
        train(make_pair_job([]))


def test_the_mismatched_completion_is_the_one_before_in_the_same_forward_pass() -> None:
    assert mismatched([4, 1, 3, 0, 2, 5], rows_of_a_pass=3) == [3, 4, 1, 5, 0, 2]
    assert mismatched([7, 8], rows_of_a_pass=1) == [7, 8]


def test_kto_takes_two_rows_of_a_process_at_least(make_pair_job: MakeJob) -> None:
    """The preset of the paper asks for one, which estimates nothing."""
    train(job := make_pair_job(objective="kto", micro_batch_size=1, max_steps=1))
    assert len(losses(job)) == 1
    with pytest.raises(ConfigError, match=r"kto: expected a batch_size .* give a multiple of 2"):
        train(make_pair_job(out="odd", objective="kto", batch_size=7))
