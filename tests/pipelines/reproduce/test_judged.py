"""From finished arms to verdicts, costs, tables and pages, by hand."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from roundsmith.claims import parse_claims
from roundsmith.report.choosing import ChoosingPage, MethodRow
from roundsmith.report.choosing import render as render_choosing
from roundsmith.report.comparison import render
from roundsmith.reproduce.choice import Choice
from roundsmith.reproduce.finished import Finished
from roundsmith.reproduce.judged import difference, judge, over_bases
from roundsmith.reproduce.results import costs_of, page_of, scope_of, to_json
from roundsmith.reproduce.steps import executions_of, tokens_of
from roundsmith.statistics import Evaluation, Holds, TaskCount
from roundsmith.store import Manifest

CLAIMS = parse_claims(
    """
recipe = "gift"
method = "gift"
needs = "tests"
needs_tests = true
needs_references = false
seeds = 3
grids = { sft = [{ learning_rate_times = 1.0 }] }
[arms.untrained]
says = "the base"
train = "nothing"
headline = true
[arms.gift]
says = "the method"
headline = true
[arms.other]
says = "another"
headline = true
[arms.sweep]
says = "a sweep"
[[claims]]
claim = "better than the base"
source = "s"
better = "gift"
than = "untrained"
[[claims]]
claim = "better than another"
source = "s"
better = "gift"
than = "other"
margin = 0.2
[[claims]]
claim = "less noise"
source = "s"
better = "gift"
than = "other"
metric = "T{tail}: noise"
lower_is_better = true
[[claims]]
claim = "no worse than a sweep"
source = "s"
better = "gift"
than = "sweep"
direction = "no_worse"
[arms.gift_tokens]
says = "at equal tokens"
tokens_of = "gift"
scaled = "samples_per_task"
[[claims]]
claim = "never played"
source = "s"
better = "sweep"
than = "other"
""",
    "test",
)


def arm(name: str, seed: int, solved: list[int], noise: float = 0.0, tokens: int = 0) -> Finished:
    counts = tuple(TaskCount(f"t{i}", 10, number) for i, number in enumerate(solved))
    return Finished(
        name,
        seed,
        "lab",
        {"final": Evaluation(counts, 10)},
        (1,),
        {"tail": 2},
        measured={"T2: noise": noise},
        tokens=tokens,
    )


DONE = {
    "untrained": {s: arm("untrained", s, [2, 4, 3 + s % 2, 5]) for s in range(3)},
    "gift": {s: arm("gift", s, [7, 9, 8, 9 + s % 2], 0.1 + s / 100, tokens=900) for s in range(3)},
    "other": {s: arm("other", s, [7, 9, 8, 9 + s % 2], 0.3) for s in range(3)},
}


def test_verdicts_of_a_plain_case() -> None:
    found = {one.claim.claim: one for one in judge(CLAIMS, DONE)}
    assert set(found) == {"better than the base", "better than another", "less noise"}
    base = found["better than the base"]
    assert base.holds is Holds.YES
    # Differences .5 .5 .5 .4 / .5 .5 .4 .5 / .5 .5 .5 .4.
    assert base.found is not None
    assert base.found.difference == pytest.approx(0.475)
    assert base.interval.low < base.ci95.low < 0.475
    assert found["better than another"].holds is Holds.UNDECIDED  # equal cell by cell: no spread
    noise = found["less noise"]
    assert noise.found is not None
    assert noise.found.difference == pytest.approx(0.3 - 0.11)
    assert noise.holds is Holds.YES


def test_other_bases_are_told_by_the_means_of_each_base() -> None:
    claim = CLAIMS.claims[0].model_copy(update={"better": "gift", "than": "other"})
    gains = {0: 0.1, 1: 0.3, 2: 0.6, 3: 0.3, 4: 0.5}  # bases a b c a b: means 0.2, 0.4, 0.6
    done = {
        name: {
            seed: replace(arm(name, seed, [round(10 * gain) if name == "gift" else 0]), model=model)
            for (seed, gain), model in zip(gains.items(), "abcab", strict=True)
        }
        for name in ("gift", "other")
    }
    found = over_bases(claim, done)
    assert found is not None
    assert found.difference == pytest.approx(0.4)
    assert found.degrees == 2
    assert found.standard_error == pytest.approx(0.2 / math.sqrt(3))
    judged = judge(CLAIMS.model_copy(update={"claims": (claim,)}), done)[0]
    assert judged.other_bases == found.interval()
    two = {name: {s: of for s, of in by.items() if of.model != "c"} for name, by in done.items()}
    assert over_bases(claim, two) is None


def shares(rng: np.random.Generator, of_bases: float) -> tuple[float, list[float]]:
    """What three bases gain more on their mean, and nine seeds of them as they are measured."""
    bases = rng.normal(0, of_bases, 3)
    return float(bases.mean()), list(np.repeat(bases, 3) + rng.normal(0, 0.02, 9))


def test_the_interval_covers_these_bases_and_the_other_one_covers_others() -> None:
    """Where bases differ as much as seeds do, the first covers other bases too rarely."""
    claim = CLAIMS.claims[2].model_copy(update={"lower_is_better": False})
    rng, runs = np.random.default_rng(5), 1000
    these = others = by_base = 0
    for _ in range(runs):
        mean, gains = shares(rng, 0.02)
        done = {
            name: {
                seed: replace(arm(name, seed, [1], gain if name == "gift" else 0.0), model=model)
                for (seed, gain), model in zip(enumerate(gains), "aaabbbccc", strict=True)
            }
            for name in ("gift", "other")
        }
        seeds, bases = difference(claim, done), over_bases(claim, done)
        assert seeds is not None
        assert bases is not None
        these += seeds.interval().low <= mean <= seeds.interval().high
        others += seeds.interval().low <= 0 <= seeds.interval().high
        by_base += bases.interval().low <= 0 <= bases.interval().high
    assert these / runs >= 0.94
    assert others / runs < 0.9
    assert by_base / runs == pytest.approx(0.95, abs=0.025)


def test_unplayed_claims_of_the_family_make_holm_stricter() -> None:
    alone = judge(CLAIMS, DONE)[0]
    fewer = CLAIMS.model_copy(update={"claims": CLAIMS.claims[:1]})
    (single,) = judge(fewer, DONE)
    assert alone.p_value >= single.p_value
    assert alone.interval.low <= single.interval.low


def test_a_claim_at_equal_tokens_is_of_a_family_of_its_own() -> None:
    claim = CLAIMS.claims[0].model_copy(update={"than": "gift_tokens"})
    later = CLAIMS.model_copy(update={"claims": (claim, *CLAIMS.claims)})
    done = {**DONE, "gift_tokens": {s: arm("t", s, [2, 4, 3 + s % 2, 5]) for s in range(3)}}
    done |= {"sweep": {s: arm("sweep", s, [7, 9, 8 - s % 2, 9]) for s in range(3)}}
    judged = judge(later, done)
    assert [one for one in judged if one.claim is not claim] == judge(CLAIMS, done)
    notes = [one.family.note for one in judged]
    assert notes == ["", "", "", " (equal tokens)", " (sweep)", " (sweep)"]
    assert judged[3].interval == judged[3].ci95, "one claim is all of its family"


def test_seeds_that_lack_an_arm_are_left_out() -> None:
    part = {**DONE, "gift": {s: DONE["gift"][s] for s in (0, 2)}}
    one = judge(CLAIMS, part)[0]
    assert one.found is not None
    assert one.found.num_seeds == 2
    single = judge(CLAIMS, {**DONE, "gift": {1: DONE["gift"][1]}})[0]
    assert single.holds is Holds.UNDECIDED
    assert math.isinf(single.interval.high)


def test_a_claim_on_tasks_that_the_base_never_solves_stays_undecided() -> None:
    asked = CLAIMS.arms["untrained"].model_copy(update={"samples": 10})
    claim = CLAIMS.claims[0].model_copy(update={"reachable": "untrained"})
    claims = CLAIMS.model_copy(
        update={"arms": {**CLAIMS.arms, "untrained": asked}, "claims": (claim,)}
    )
    assert judge(claims, DONE)[0].holds is Holds.YES
    never = {s: arm("untrained", s, [0, 0, 0, 0]) for s in range(3)}
    found = judge(claims, {**DONE, "untrained": never})[0]
    assert found.interval.low > 0
    assert found.holds is Holds.UNDECIDED
    assert found.because == "the base solves none of these tasks in 10 samples"


def test_seeds_that_lack_what_is_measured_are_left_out() -> None:
    """Few tasks may hold none of a set, and few groups no pair to tell noise by."""
    part = CLAIMS.claims[0].model_copy(update={"on": "final C"})
    claims = CLAIMS.model_copy(update={"claims": (part, CLAIMS.claims[2])})
    assert [one.claim.claim for one in judge(claims, DONE)] == ["less noise"]
    quiet = {**DONE["gift"], 1: replace(DONE["gift"][1], measured={})}
    (one,) = judge(claims, {**DONE, "gift": quiet})
    assert one.found is not None
    assert one.found.num_seeds == 2


def test_a_gap_is_reachable_where_a_part_of_it_is() -> None:
    """What the base was not asked of a gap's parts, such as the training tasks, is left out."""
    asked = CLAIMS.arms["untrained"].model_copy(update={"samples": 10})
    gap = {"on": "train A trained - final", "reachable": "untrained"}
    claim = CLAIMS.claims[0].model_copy(update={**gap, "than": "other"})
    arms = {**CLAIMS.arms, "untrained": asked}
    claims = CLAIMS.model_copy(update={"arms": arms, "claims": (claim,)})
    trained = Evaluation((TaskCount("t", 10, 9),), 10)
    done = {
        name: {
            s: replace(of, parts={**of.parts, "train A trained": trained}) for s, of in done.items()
        }
        for name, done in DONE.items()
        if name != "untrained"
    }
    never = {s: arm("untrained", s, [0, 0, 0, 0]) for s in range(3)}
    assert judge(claims, {**done, "untrained": DONE["untrained"]})[0].because == ""
    assert "solves none" in judge(claims, {**done, "untrained": never})[0].because


def test_costs_are_for_a_point_over_the_untrained_model() -> None:
    costs = costs_of("gift", DONE)
    assert costs.gain == pytest.approx(0.475)
    assert costs.per_point(costs.tokens) == pytest.approx(900 / 47.5)
    assert costs_of("untrained", DONE).gain is None


def test_executions_that_only_measure_a_choice_are_no_cost_of_it() -> None:
    stats = {"executions": 190, "measuring_executions": 90, "sampled_tokens": 7, "scored_tokens": 5}
    pool = Manifest("sample", "0" * 64, stats=stats)
    assert (executions_of(pool), tokens_of(pool)) == (100, 12)


def test_json_and_page_tell_arms_claims_and_scope() -> None:
    choice = Choice("lab", ("lab",), "lab", limit=6)
    single = {name: {0: of[0]} for name, of in DONE.items()}
    for done in (DONE, single):
        judged, scope = judge(CLAIMS, done), scope_of(CLAIMS, choice, True, done)
        told = json.loads(json.dumps(to_json(scope, {}, done, judged), allow_nan=False))
        assert told["arms"]["gift"]["tokens"] == [900] * len(done["gift"])
        assert {claim["holds"] for claim in told["claims"]} <= {"yes", "no", "undecided"}
        assert told["scope"]["sentence"].startswith("model lab; tasks lab (6 a seed of train, 4")
        page = render(page_of(CLAIMS, scope, done, judged))
        assert page == render(page_of(CLAIMS, scope, done, judged))
        assert "better than the base" in page
        assert "nan" not in page.lower().replace("finan", "")
        assert "inf" not in page.split("</style>")[1].replace("info", "")


def method(recipe: str, gain: float, cost: float, **needs: bool) -> MethodRow:
    return MethodRow(
        recipe, "says", "needs", needs.get("tests", False), needs.get("references", False),
        "lab from lab", "scope", 0.8, (gain, gain - 0.01, gain + 0.01), None, None, cost, cost,
        {"yes": 1, "no": 0, "undecided": 2},
    )  # fmt: skip


def test_advice_is_the_largest_shown_gain_that_the_tasks_allow() -> None:
    methods = (
        method("big", 0.2, 500.0, tests=True),
        method("cheap", 0.05, 20.0),
        method("unshown", 0.005, 1.0),
    )
    page = ChoosingPage(methods)
    with_tests, _, without, neither = page.advice
    assert "big, +20.0 points" in with_tests
    assert "cheapest a point: cheap" in with_tests
    assert "big" not in without
    assert "cheap, +5.0 points" in neither
    assert "unshown" not in "".join(page.advice)
    assert "cheap" in render_choosing(page)
    assert "no method" in ChoosingPage(methods[2:]).advice[0]


def test_whether_references_alone_do_as_well_is_told_to_who_has_some() -> None:
    row = replace(method("free", 0.1, 5.0), over_gold=(-0.02, -0.03, -0.01))
    for line, has_some in zip(ChoosingPage((row,)).advice, (True, False, True, False), strict=True):
        assert ("better than training on the references alone" in line) == has_some
