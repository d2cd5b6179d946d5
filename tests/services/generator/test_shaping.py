"""What an item may ask for beyond temperature and cuts: penalties, constraints, deltas, seeds."""

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from roundsmith.errors import ConfigError, Unsupported
from roundsmith.types import Completion, CompletionDelta, Constraint, GenerateItem, Sampling
from tests.services.generator.driven import Driven

Ask = Callable[[Sequence[GenerateItem]], list[list[Completion]]]
PROMPT = "def add(a, b):\n    return "


def penalised_greedy(tiny: Path, sampling: Sampling) -> list[int]:
    """The same by plain transformers, a whole forward pass for each token."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    prompt = AutoTokenizer.from_pretrained(tiny)(PROMPT)["input_ids"]
    drawn: list[int] = []
    while len(drawn) < sampling.max_tokens:
        with torch.no_grad():
            row = model(torch.tensor([[*prompt, *drawn]])).logits[0, -1].double()
        for token in {*prompt, *drawn}:
            r = sampling.repetition_penalty
            row[token] = row[token] / r if row[token] > 0 else row[token] * r
        for token in set(drawn):
            row[token] -= sampling.frequency_penalty * drawn.count(token)
            row[token] -= sampling.presence_penalty
        drawn.append(int(row.argmax()))
        if drawn[-1] == model.config.eos_token_id:
            break
    return drawn


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(24, temperature=0.0, repetition_penalty=1.4),
        Sampling(24, temperature=0.0, presence_penalty=1.0),
        Sampling(24, temperature=0.0, frequency_penalty=0.7),
        Sampling(24, 0.0, presence_penalty=-0.5, frequency_penalty=0.3, repetition_penalty=1.1),
    ],
)
def test_greedy_tokens_with_penalties_are_those_of_the_formula(
    ask: Ask, tiny: Path, sampling: Sampling
) -> None:
    plain = Sampling(24, temperature=0.0)
    ((found,), (free,)) = ask(
        [GenerateItem("i", PROMPT, sampling, 0), GenerateItem("j", PROMPT, plain, 0)]
    )
    assert list(found.token_ids) == penalised_greedy(tiny, sampling)
    assert found.token_ids != free.token_ids


def test_a_min_p_of_one_leaves_only_the_most_likely(ask: Ask) -> None:
    sure = Sampling(16, temperature=1.0, min_p=1.0)
    ((found,), (greedy,)) = ask(
        [
            GenerateItem("i", PROMPT, sure, 5),
            GenerateItem("j", PROMPT, Sampling(16, temperature=0.0), 5),
        ]
    )
    assert found.token_ids == greedy.token_ids


@pytest.mark.parametrize(
    "sampling",
    [Sampling(1, 0.5, top_k=3), Sampling(1, 0.5, top_p=0.3), Sampling(1, 0.5, min_p=0.255)],
)
def test_each_cut_leaves_its_tokens_as_often_as_the_temperature_makes_them(
    ask: Ask, tiny: Path, sampling: Sampling
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    ids = AutoTokenizer.from_pretrained(tiny)("def add")["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1].double()
    best = torch.softmax(logits / 0.5, -1).topk(3)
    drawn = [
        completion.token_ids[0]
        for seed in range(10)
        for completion in ask([GenerateItem("i", tuple(ids), sampling, seed, n=60)])[0]
    ]
    assert set(drawn) == set(best.indices.tolist())
    for token, share in zip(best.indices.tolist(), best.values / best.values.sum(), strict=True):
        # four standard deviations; at a temperature of 1 the first would be off by six
        assert drawn.count(token) / len(drawn) == pytest.approx(float(share), abs=0.08)


def test_the_same_seed_alone_gives_the_same_sample_and_another_index_another(ask: Ask) -> None:
    item = GenerateItem("i", PROMPT, Sampling(16), 5, n=3)
    (first,), (again,) = ask([item]), ask([item])
    assert [c.token_ids for c in first] == [c.token_ids for c in again]
    assert len({c.token_ids for c in first}) == 3


def test_a_temperature_of_zero_is_not_that_of_an_unset_field(ask: Ask) -> None:
    greedy = GenerateItem("i", PROMPT, Sampling(16, temperature=0.0), 5, n=3)
    (found,) = ask([greedy])
    assert len({c.token_ids for c in found}) == 1


@pytest.mark.parametrize(
    ("constraint", "matches"),
    [
        (Constraint(regex="[a-c]{2}x+"), lambda text: re.fullmatch("[a-c]{2}x+", text)),
        (
            Constraint(
                json_schema=json.dumps(
                    {
                        "type": "object",
                        "properties": {"n": {"enum": [1, 2]}, "ok": {"type": "boolean"}},
                        "required": ["n", "ok"],
                        "additionalProperties": False,
                    }
                )
            ),
            lambda text: set(json.loads(text)) == {"n", "ok"},
        ),
        (Constraint(grammar='root ::= "yes" | "no"'), lambda text: text in ("yes", "no")),
    ],
)
def test_a_constraint_holds_or_is_refused_as_something_the_engine_can_not_do(
    driven: Driven, constraint: Constraint, matches: Callable[[str], object]
) -> None:
    sampling = Sampling(100, temperature=0.8, constraint=constraint)
    item = GenerateItem("i", PROMPT, sampling, 5, n=4)
    if constraint.kinds[0] not in driven.engine.describe().constraint_kinds:
        assert driven.engine.describe().engine == "transformers"
        with pytest.raises(Unsupported, match=constraint.kinds[0]):
            driven.ask([item])
        return
    (found,) = driven.ask([item])
    ended = [c for c in found if c.finish_reason == "stop"]
    assert ended
    assert all(matches(c.text) for c in ended)


def test_log_probabilities_under_a_constraint_are_among_the_tokens_that_it_leaves(
    driven: Driven,
) -> None:
    if "regex" not in driven.engine.describe().constraint_kinds:
        pytest.skip("this engine takes no constraints")
    sampling = Sampling(9, constraint=Constraint(regex="x"))
    ((drawn,),) = driven.ask([GenerateItem("i", PROMPT, sampling, 0, top_logprobs=2)])
    assert (drawn.text, drawn.finish_reason) == ("x", "stop")
    assert drawn.logprobs == (0.0, 0.0), "of the text and of its end, which are all it may be"
    assert [top.logprobs for top in drawn.top_logprobs] == [(0.0, -math.inf)] * 2


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (Constraint(), "expected one of regex, json_schema and grammar, saw none"),
        (Constraint(regex="a", grammar="b"), "saw regex and grammar"),
    ],
)
def test_a_constraint_is_one_thing(ask: Ask, constraint: Constraint, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ask([GenerateItem("i", PROMPT, Sampling(4, constraint=constraint), 0)])


def test_a_constraint_without_meaning_is_refused_and_its_neighbours_are_not(ask: Ask) -> None:
    deep = '{"properties": {"a": ' * 70 + "{}" + "}}" * 70
    for constraint in (
        Constraint(regex="a("),
        Constraint(json_schema="{"),
        Constraint(json_schema=deep),
        Constraint(grammar=""),
        Constraint(regex=r"\p{L}+"),  # taken, and not compiled
        Constraint(grammar="root ::= root"),  # compiled, and nothing matches it
        Constraint(json_schema='{"$ref": "#"}'),
    ):
        with pytest.raises(ConfigError, match=r"refused the item|constraint"):
            ask([GenerateItem("i", PROMPT, Sampling(4, constraint=constraint), 0)])
    assert ask([GenerateItem("i", PROMPT, Sampling(4), 0)])


def test_deltas_are_the_completion_piece_by_piece(driven: Driven) -> None:
    item = GenerateItem(
        "i", "def é(a, b):\n", Sampling(40, stop=("zzz",)), 3, n=3, top_logprobs=1, deltas=True
    )
    told = driven.run(driven.told(item))
    whole = {c.index: c for c in told if isinstance(c, Completion)}
    assert sorted(whole) == [0, 1, 2]
    for index, completion in whole.items():
        mine = [d for d in told if isinstance(d, CompletionDelta) and d.index == index]
        assert mine
        ids = [i for d in mine for i in d.token_ids]
        # What an engine hands over together with the last token is told by the completion alone.
        assert tuple(ids) == completion.token_ids[: len(ids)]
        assert [d.offset for d in mine] == [
            sum(len(d.token_ids) for d in mine[:at]) for at in range(len(mine))
        ]
        logprobs = [p for d in mine for p in d.logprobs]
        assert tuple(logprobs) == completion.logprobs[: len(ids)]
        assert completion.text.startswith("".join(d.text for d in mine))
        assert told.index(completion) > told.index(mine[-1])


def test_without_deltas_nothing_but_completions_is_told(driven: Driven) -> None:
    told = driven.run(driven.told(GenerateItem("i", PROMPT, Sampling(9), 3, n=2)))
    assert [type(one) for one in told] == [Completion, Completion]
