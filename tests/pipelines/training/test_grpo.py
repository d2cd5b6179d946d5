"""grpo: advantages worked by hand, what the sandbox failed on, and what is refused."""

import signal
from collections.abc import Mapping
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from accelerate import PartialState  # type: ignore[import-untyped]  # ships no types

from roundsmith.errors import ConfigError
from roundsmith.hashing import weights_sha256
from roundsmith.training import TrainingJob
from roundsmith.training.folder import JobFolder
from roundsmith.training.grpo import build
from roundsmith.training.keeping import FolderKeeping
from roundsmith.training.loading import load
from roundsmith.training.merged import save_whole
from roundsmith.training.objectives import find_objective
from roundsmith.training.plan import plan_training
from roundsmith.training.progress import PROGRESS_FILE, read_progress
from roundsmith.training.rollouts import Rollout, Wanted, program_of
from roundsmith.training.run import train
from roundsmith.training.tokens import write_tokens
from roundsmith.training.watch import ProgressWriter
from roundsmith.types import Completion
from tests.pipelines.recipes.groups import TASK
from tests.pipelines.training.conftest import MakeJob, close, example
from tests.warm import start, together

pytestmark = pytest.mark.filterwarnings("ignore:You are using 'rollout_func'")


class Drawn:
    """Gives every prompt the same completions with the given rewards."""

    def __init__(self, *rewards: float | None, masked_token: int = 40) -> None:
        self._rewards, self._masked = rewards, masked_token
        self.served: list[str] = []
        self.steps: list[int] = []
        self.closed = False

    def serve(self, model: Any) -> None:
        total = sum(float(weight.detach().sum()) for weight in model.parameters())
        self.served.append(f"{total:.6f}")

    def draw(self, prompts: Mapping[str, Wanted], step: int) -> dict[str, list[Rollout]]:
        self.steps.append(step)
        of = {name: islice(enumerate(cycle(self._rewards)), n) for name, (_, n) in prompts.items()}
        return {name: [self._one(i, r) for i, r in rewards] for name, rewards in of.items()}

    def close(self) -> None:
        self.closed = True

    def _one(self, index: int, reward: float | None) -> Rollout:
        token = self._masked if reward is None else 20 + index
        ids = (token, token + 1, 1)
        completion = Completion(index, "", ids, (-1.0,) * 3, "stop", 3, "w" * 64)
        return Rollout(completion, reward, 0 if reward is None else 2)


def built(job: TrainingJob, source: Drawn) -> Any:
    folder, objective, peers = JobFolder(job), find_objective("grpo"), PartialState(cpu=True)
    if peers.is_main_process:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.open()
    peers.wait_for_everyone()
    model, coder = load(job)
    config = objective.arguments(job, folder, "cpu", False)
    path = folder.work / f"tokens-{peers.process_index}.arrow"
    tokens = write_tokens(coder, objective, job, path)
    plan = plan_training(job, objective, tokens, coder.tokenizer, peers.num_processes)
    keeping = FolderKeeping(folder, peers)
    writer = ProgressWriter(plan, keeping.progress if peers.is_main_process else None)
    return build(job, keeping, plan, config, model, [writer], source)


SMALL = {
    "objective": "grpo",
    "generations": 4,
    "batch_size": 4,
    "micro_batch_size": 2,
    "max_tokens": 8,
    "checkpoint_every_steps": 0,
    "warmup_steps": 0,
}


def test_the_advantages_are_the_papers_on_a_case_worked_by_hand(make_job: MakeJob) -> None:
    """Rewards 1, 0, none, 0: the mean of those that there are is 1/3, and their standard deviation
    sqrt(((2/3)^2 + 2 (1/3)^2) / 2) = 0.577350. So A = (2/3) / 0.577450 = 1.154501 for the first,
    (-1/3) / 0.577450 = -0.577250 for the zeros, and nothing for the one without a reward.
    """
    trainer = built(make_job([example(0)], **SMALL), Drawn(1.0, 0.0, None, 0.0))
    made = trainer._generate_and_score_completions([{"prompt": "t"} for _ in range(4)])
    assert made["advantages"].tolist() == pytest.approx(
        [1.154501, -0.577250, 0.0, -0.577250], abs=1e-5
    )
    assert made["tool_mask"][:, :3].tolist() == [[1] * 3, [1] * 3, [0] * 3, [1] * 3]


def test_the_loss_is_the_papers_on_a_case_worked_by_hand(make_job: MakeJob) -> None:
    """A step begins where it sampled, so that every ratio is 1 and a completion's loss is -A. Of
    the rewards 1, 0, none, 0 in two forward passes, with A as above:

        first     -(1.154501 - 0.577250) / 2 = -0.288626
        second    -(0 - 0.577250) / 2        =  0.288625    the masked one adds nothing, and counts
    """
    trainer = built(make_job([example(0)], **SMALL), Drawn(1.0, 0.0, None, 0.0))
    made = trainer._generate_and_score_completions([{"prompt": "t"} for _ in range(4)])
    trainer.current_gradient_accumulation_steps = 1
    losses = []
    for half in (slice(0, 2), slice(2, 4)):
        rows = {name: v[half] if getattr(v, "ndim", 0) else v for name, v in made.items()}
        losses.append(float(trainer._compute_loss(trainer.model, rows).detach()))
    assert losses == pytest.approx([-0.288626, 0.288625], abs=1e-5)


def test_what_the_sandbox_failed_on_is_masked_and_never_a_zero(make_job: MakeJob) -> None:
    """Other tokens in a masked completion change nothing; a zero in its place does."""
    trained = []
    for name, source in (
        ("one", Drawn(1.0, 0.0, None, 0.0)),
        ("other", Drawn(1.0, 0.0, None, 0.0, masked_token=60)),
        ("zero", Drawn(1.0, 0.0, 0.0, 0.0)),
    ):
        trainer = built(make_job([example(0)], out=name, **SMALL), source)
        trainer.train()
        out = Path(trainer.args.output_dir) / "trained"
        trainer.model.save_pretrained(out)
        trained.append(weights_sha256(out))
    assert trained[0] == trained[1] != trained[2]


def test_every_step_draws_anew_from_the_weights_of_that_step(make_job: MakeJob) -> None:
    source = Drawn(1.0, 0.0, 1.0, 0.0)
    job = make_job([example(i) for i in range(3)], epochs=2, **SMALL)
    trainer = built(job, source)
    trainer.train()
    assert source.steps == [0, 1, 2, 3, 4, 5]
    assert len(set(source.served)) == 6
    assert source.closed
    steps = list(read_progress(job.out / PROGRESS_FILE))
    assert [(s.sampled_tokens, s.executions) for s in steps] == [(12, 8)] * 6
    assert sum(s.prompt_tokens for s in steps) == 2 * sum(trainer._plan.tokens.lengths)


def test_with_adapters_every_step_draws_from_the_whole_model_that_they_make(
    make_job: MakeJob, model: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file

    class Serving(Drawn):
        """Keeps what is served, as a folder."""

        def serve(self, model: Any) -> None:
            save_whole(model, tmp_path / f"served-{len(self.steps)}")

    job = make_job([example(i) for i in range(3)], **SMALL, lora_rank=4, learning_rate=1e-2)
    trainer = built(job, Serving(1.0, 0.0, 1.0, 0.0))
    trainer.train()
    before, *served = (
        load_file(folder / "model.safetensors")
        for folder in (model, *(tmp_path / f"served-{step}" for step in range(3)))
    )
    assert all(before[name].equal(served[0][name]) for name in before)
    for one, other in pairwise(served):
        assert one.keys() == other.keys() == before.keys()
        changed = {name for name in one if not one[name].equal(other[name])}
        assert changed
        assert all(name.endswith("_proj.weight") for name in changed)
    trained = trainer.accelerator.unwrap_model(trainer.model)
    assert isinstance(trained, PeftModel)
    save_whole(trained, tmp_path / "saved")
    trained.merge_and_unload().save_pretrained(tmp_path / "merged")
    assert weights_sha256(tmp_path / "saved") == weights_sha256(tmp_path / "merged")


def test_a_step_may_hold_a_task_twice(make_job: MakeJob) -> None:
    """Three prompts in steps of two: where epochs meet one may follow itself. Each place in the
    step is a group of its own, with its own completions.
    """
    trainer = built(make_job([example(0)], **SMALL), Drawn(1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0))
    made = trainer._generate_and_score_completions([{"prompt": "t"} for _ in range(8)])
    assert made["completion_ids"][:, 0].tolist() == [20, 21, 22, 23, 24, 25, 26, 27]
    assert made["advantages"].tolist() == pytest.approx([1.4997, *[-0.4999] * 3, *[0.0] * 4], 1e-3)


def test_equal_rewards_teach_nothing(make_job: MakeJob, model: Path) -> None:
    from safetensors.torch import load_file

    job = make_job([example(0)], **SMALL, weight_decay=0)
    trainer = built(job, Drawn(1.0, 1.0, 1.0, 1.0))
    trainer.train()
    before = load_file(model / "model.safetensors")
    after = dict(trainer.model.named_parameters())
    assert all(after[name].equal(before[name]) for name in before if name in after)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 6}, "a multiple of generations, saw 6 and 4"),
        ({}, "expected tasks and running services, saw none"),
    ],
)
def test_what_grpo_can_not_do_is_refused(
    make_job: MakeJob, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(make_job([example(0)], **SMALL | changed))


def test_a_completion_of_either_style_is_a_program() -> None:
    for completion in ("    return 2 * x", "\n    return 2 * x"):
        assert program_of(TASK, completion) == "def solve(x: int) -> int:\n    return 2 * x"


@pytest.mark.slow
def test_a_grpo_killed_at_a_step_ends_with_bitwise_the_same_weights(make_job: MakeJob) -> None:
    settings = SMALL | {"max_steps": 6, "checkpoint_every_steps": 2}
    jobs = {name: make_job([example(0)], out=name, **settings) for name in ("calm", "killed")}
    assert grpo_process(jobs["calm"], -1) == 0
    assert grpo_process(jobs["killed"], 3) == -signal.SIGKILL
    assert grpo_process(jobs["killed"], -1) == 0
    notes = jobs["killed"].out.with_name("killed-steps")
    steps = [line.split()[0] for line in notes.read_text().splitlines()]
    assert steps == ["0", "1", "2", "3", "2", "3", "4", "5"]
    calm, killed = (weights_sha256(job.out / "trained") for job in jobs.values())
    assert calm == killed


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 8, "epochs": 4},
        {"sharded": True, "beta": 0.05},
        {"sharded": True, "lora_rank": 4},
    ],
)
def test_two_processes_take_the_steps_of_one_and_the_first_draws_for_both(
    make_job: MakeJob, settings: dict[str, Any]
) -> None:
    """Of each step a process has one of two groups, or half of the only one."""
    rows = [example(i) for i in range(3)]
    shaped = SMALL | {"epochs": 2, "learning_rate": 1e-3} | settings
    alone, shared = (make_job(rows, out=name, **shaped) for name in ("alone", "shared"))
    assert grpo_process(alone, -1) == 0
    assert grpo_process(shared, -1, processes=2) == 0
    one, two = (
        [line.split() for line in steps.read_text().splitlines()]
        for steps in (job.out.with_name(f"{job.out.name}-steps") for job in (alone, shared))
    )
    assert [step for step, *_ in two] == ["0", "1", "2", "3", "4", "5"]
    for (_, drawn, served), (_, drawn_by_two, served_by_two) in zip(one, two, strict=True):
        assert drawn_by_two == drawn
        assert float(served_by_two) == pytest.approx(float(served), abs=1e-3)
    assert len({served for _, _, served in two}) == 6
    assert close(alone.out / "trained", shared.out / "trained")


@pytest.mark.slow
def test_processes_that_are_killed_end_with_the_weights_of_those_that_are_not(
    make_job: MakeJob,
) -> None:
    settings = SMALL | {"max_steps": 6, "checkpoint_every_steps": 2, "sharded": True}
    jobs = {name: make_job([example(0)], out=name, **settings) for name in ("calm", "killed")}
    assert grpo_process(jobs["calm"], -1, processes=2) == 0
    assert grpo_process(jobs["killed"], 3, processes=2) != 0
    assert grpo_process(jobs["killed"], -1, processes=2) == 0
    calm, killed = (weights_sha256(job.out / "trained") for job in jobs.values())
    assert calm == killed


def grpo_process(job: TrainingJob, killed_at: int, processes: int = 1) -> int:
    """How it ended, or the first of several."""
    path = job.out.with_suffix(".json")
    path.write_text(job.model_dump_json())
    module, log = "tests.pipelines.training.grpo_process", job.out.with_suffix(".log")
    arguments = (str(path), str(killed_at))
    if processes > 1:
        return together(module, arguments, log, processes)
    return start(module, arguments, log).wait()
