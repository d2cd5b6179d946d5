"""Values of containers within containers, as they cross the codec."""

from typing import Any

from hypothesis import strategies as st

Values = st.SearchStrategy[Any]


def hashable(leaves: Values, max_leaves: int) -> Values:
    """Leaves, and tuples and frozensets of them."""
    return st.recursive(
        leaves, lambda v: st.tuples(v, v) | st.frozensets(v, max_size=3), max_leaves=max_leaves
    )


def nested(leaves: Values, keys: Values, max_leaves: int) -> Values:
    """Leaves, and lists, tuples and dicts of them; keys are those of sets and dicts."""
    return st.recursive(
        leaves,
        lambda v: (
            st.lists(v, max_size=4)
            | st.tuples(v, v)
            | st.sets(keys, max_size=3)
            | st.frozensets(keys, max_size=3)
            | st.dictionaries(keys, v, max_size=3)
        ),
        max_leaves=max_leaves,
    )
