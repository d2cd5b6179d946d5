"""report.html: untrusted text stays text, nothing is fetched, same round, same bytes."""

import base64
import hashlib
import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.report.html import SHOWN_SAMPLES, ReportInputs, SampleRow, render, spread
from roundsmith.report.summary import Summary
from roundsmith.store import DroppedRow
from tests.pipelines.report.rounds import COST, INPUTS, RESULT, SAMPLE, turned_around

EVIL = (
    "</code></pre><script>alert('1')</script><img src=x onerror=\"alert(2)\"> \"' {{ 7*7 }} &amp;"
)
FETCHING = {"src", "href", "srcset", "action", "data", "poster", "background", "formaction"}


class Page(HTMLParser):
    """The tags, attributes and text of a page, as a browser's tokenizer sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def with_sample(sample: SampleRow) -> ReportInputs:
    return replace(INPUTS, samples=(sample,))


def evil_everywhere(text: str) -> ReportInputs:
    result = replace(
        RESULT,
        recipe=text,
        model=text,
        tasks=text,
        funnel={text: 3},
        verdicts={text: 4},
        tokens={text: 5},
        pass_at_k={text: {"1": replace(RESULT.pass_at_k["gate"]["1"], method=text)}},
        gate=None if RESULT.gate is None else replace(RESULT.gate, reasons=(text,), method=text),
    )
    cost = replace(COST, seconds={text: 1.0}, machine={text: text})
    sample = SampleRow(text, text, text, text, text, 2.0, False)
    return replace(with_sample(sample), summary=Summary(result, cost))


def test_a_samples_markup_stays_text() -> None:
    plain, evil = Page(render(with_sample(SAMPLE))), Page(render(evil_everywhere(EVIL)))
    assert set(evil.tags) == set(plain.tags)
    assert evil.tags.count("script") == 1
    assert "img" not in evil.tags
    assert not [name for name, _ in evil.attributes if name.startswith("on")]
    assert "".join(evil.texts).count(EVIL) >= 8


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1, max_size=40))
def test_any_sample_is_shown_as_it_is(text: str) -> None:
    sample = replace(SAMPLE, code=text, description=text, task_id=text)
    page = Page(render(with_sample(sample)))
    assert page.tags == Page(render(with_sample(SAMPLE))).tags
    assert text in page.texts


def test_nothing_is_fetched_from_anywhere() -> None:
    text = render(INPUTS)
    page = Page(text)
    fetched = [value for name, value in page.attributes if name in FETCHING]
    assert all(value.startswith("#") for value in fetched)
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(|fetch\(|XMLHttp|import\(", text)
    assert "link" not in page.tags
    assert "style" not in [name for name, _ in page.attributes]


def test_the_policy_allows_the_pages_own_style_and_script_only() -> None:
    text = render(evil_everywhere(EVIL))
    (policy,) = [v for n, v in Page(text).attributes if n == "content" and "default-src" in v]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_same_round_gives_the_same_bytes() -> None:
    assert render(INPUTS) == render(INPUTS)
    other = replace(RESULT, verdicts=turned_around(RESULT.verdicts))
    assert render(replace(INPUTS, summary=Summary(other, COST))) == render(INPUTS)


def test_the_page_says_what_was_measured() -> None:
    text = re.sub(r"[\u202f\u00a0]", " ", "".join(Page(render(INPUTS)).texts))
    main = RESULT.pass_at_k["final"]["1"]
    for said in (
        "gift, round 1",
        "promoted",
        f"{100 * main.before:.1f} %",
        f"{100 * main.after:.1f} %",
        "The gate's decision",
        "one alpha shared by the",
        "12 345",
        "1 h 1 min",
        "2 of 2 samples",
    ):
        assert said in text
    assert text.index("final pass@1") < text.index("gate pass@1")


def test_every_plot_is_there_and_told_in_words() -> None:
    text = render(INPUTS)
    for name in ("pass", "funnel", "verdicts", "perplexity", "loss"):
        assert f'aria-labelledby="{name}-title {name}-desc"' in text
        assert text.count(f'id="{name}-title"') == 1


def test_a_round_without_anything_to_plot_still_reports() -> None:
    empty = replace(
        RESULT, pass_at_k={}, funnel={}, verdicts={}, tokens={}, gate=None, promoted=False
    )
    text = render(ReportInputs(Summary(empty, replace(COST, seconds={}))))
    assert "Nothing was evaluated" in text
    assert "not promoted" in text
    assert "No training ran" in text
    assert "<svg" not in text


def test_a_refusal_is_said_with_its_reasons() -> None:
    assert RESULT.gate is not None
    refused = replace(RESULT.gate, reasons=("3 training rows repeat benchmark tasks",))
    result = replace(RESULT, promoted=False, gate=refused)
    text = render(replace(INPUTS, summary=Summary(result, COST)))
    assert "<li>3 training rows repeat benchmark tasks</li>" in text
    assert '<span class="badge no">not promoted</span>' in text


@pytest.mark.parametrize("amount", [0, 1, SHOWN_SAMPLES, SHOWN_SAMPLES + 1, 5000])
def test_the_browser_shows_at_most_some_samples_spread_over_all(amount: int) -> None:
    rows = [replace(SAMPLE, sample_id=str(i)) for i in range(amount)]
    shown = spread(rows, SHOWN_SAMPLES)
    ids = [int(row.sample_id) for row in shown]
    assert len(shown) == min(amount, SHOWN_SAMPLES)
    assert ids == sorted(set(ids))
    if amount > SHOWN_SAMPLES:
        assert max(b - a for a, b in itertools.pairwise(ids)) <= amount / SHOWN_SAMPLES + 1


def test_a_huge_sample_is_cut_and_says_so() -> None:
    text = render(with_sample(replace(SAMPLE, code="x" * 1_000_000)))
    assert len(text) < 100_000
    assert "x\n[cut]" in text


def test_infinite_perplexities_are_left_out() -> None:
    text = render(replace(INPUTS, perplexities_all=(1.5, float("inf"), float("nan"), 2.0)))
    assert "2 scored samples, median 1.75" in text
    assert "nan" not in re.findall(r"<svg.*?</svg>", text, re.DOTALL)[-2]


def test_text_that_utf8_has_no_bytes_for_is_shown_as_a_question_mark() -> None:
    text = render(with_sample(replace(SAMPLE, code="left \udcff right")))
    assert "left ? right" in text
    assert text.encode()


def test_the_price_is_shown_where_it_is_known() -> None:
    unpriced = replace(INPUTS, summary=Summary(RESULT, replace(COST, price=None)))
    assert "price" not in Page(render(unpriced)).texts
    priced = replace(INPUTS, summary=Summary(RESULT, replace(COST, price=12.5)))
    assert {"price", "12.50"} <= set(Page(render(priced)).texts)


def test_dropped_rows_are_listed_with_the_reason_and_cut_where_they_are_many() -> None:
    row = DroppedRow("0" * 64, "mbpp/2", "near-duplicate", "mbpp/511", "0.87 alike")
    texts = "".join(Page(render(replace(INPUTS, dropped=(row,) * 150))).texts)
    assert "150 training rows came too near" in texts
    assert texts.count("mbpp/511") == 100
    assert "Shown are the first 100" in texts
    assert "too near" not in "".join(Page(render(INPUTS)).texts)
