"""Items that are tokenized together become the rows that each becomes alone."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.errors import ConfigError
from roundsmith.models.loading import LoadedModel, load
from roundsmith.scorer.rows import Row, row_of, rows_of
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import ChatMessage, ScoreItem


@pytest.fixture(scope="module")
def loaded(tiny: Path) -> LoadedModel:
    """The tiny model, whose context a few of the texts are too long for."""
    return load(ScorerSettings(model=str(tiny), context_tokens=64))


def texts() -> st.SearchStrategy[str]:
    """Any, and some that are too long: for the context, and to be tokenized whole."""
    words = st.lists(st.sampled_from(("x", " = ", "é", "\n    ", "<|end|>")), max_size=9)
    return words.map("".join) | st.text(max_size=40) | st.sampled_from(["a b " * 40, "a b " * 400])


def items() -> st.SearchStrategy[ScoreItem]:
    """Good ones and bad ones."""
    ids = st.lists(st.integers(-1, 2000), max_size=5).map(tuple)
    prompts = texts() | ids | texts().map(lambda text: (ChatMessage("user", text),))
    return st.builds(
        ScoreItem,
        st.just("i"),
        prompts,
        texts() | ids,
        st.booleans(),
        p_yes=st.booleans(),
        p_yes_top_k=st.sampled_from([0, 0, 5, 9000]),
    )


def alone(item: ScoreItem, loaded: LoadedModel) -> Row | str:
    """The row of an item, or why there is none."""
    try:
        return row_of(item, loaded)
    except ConfigError as error:
        return f"{type(error).__name__}: {error}"


@settings(max_examples=60, deadline=None)
@given(st.lists(items(), max_size=12))
def test_items_together_have_the_rows_and_errors_of_each_alone(
    loaded: LoadedModel, together: list[ScoreItem]
) -> None:
    found = [
        f"{type(row).__name__}: {row}" if isinstance(row, ConfigError) else row
        for row in rows_of(together, loaded)
    ]
    assert found == [alone(item, loaded) for item in together]
