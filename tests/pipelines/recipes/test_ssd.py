"""ssd: what it imitates is right or wrong as it comes; the rest is rft's."""

from random import Random

from roundsmith.recipes.rft import RftConfig
from roundsmith.recipes.ssd import Ssd, SsdConfig
from tests.pipelines.recipes.groups import code, group, passes


def test_its_rows_differ_from_those_of_rft_in_verifying_alone() -> None:
    rft, ssd = RftConfig(), SsdConfig()
    assert ssd.selected_per_task == rft.selected_per_task
    assert (ssd.temperature, ssd.top_k, ssd.max_tokens) == (
        rft.temperature,
        rft.top_k,
        rft.max_tokens,
    )
    assert ssd.training == rft.training


def test_codes_are_imitated_whether_they_pass_or_not() -> None:
    codes = tuple(code(f"{i}", 0, f"    return {i} * x") for i in range(4))
    told, untold = group(codes, passes(codes[0])), group(codes, ())
    for seed in range(5):
        rows = Ssd(SsdConfig(selected_per_task=3)).select(told, Random(seed))
        assert len(rows) == 1 + 3
        same = Ssd(SsdConfig(selected_per_task=3)).select(untold, Random(seed))
        assert [row.provenance.parents for row in rows] == [row.provenance.parents for row in same]
    rows = Ssd(SsdConfig(gold=False)).select(untold, Random(0))
    assert sorted(row.provenance.parents for row in rows) == [("0",), ("1",), ("2",), ("3",)]
