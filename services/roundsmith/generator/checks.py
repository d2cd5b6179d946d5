"""What an item may ask for, the same for every engine."""

import math
from collections.abc import Collection, Iterable

from roundsmith.errors import ConfigError, EngineError, TooLong, Unsupported
from roundsmith.types import Constraint, GenerateItem, Sampling
from roundsmith.types.generation import (
    MAX_ADDED_PENALTY,
    MAX_REPETITION,
    MAX_TEMPERATURE,
    MIN_REPETITION,
    MIN_TEMPERATURE,
)

MAX_TOP_LOGPROBS = 20
MAX_COMPLETIONS = 16_384
"""Of one item: it is admitted whole, and its answers are kept together."""
MAX_STOPS = 64
"""Each is looked for after every token, while all other completions wait."""
MAX_STOP_CHARACTERS = 4096
"""Of each: what may begin one is looked for in as much text."""


def check_item(item: GenerateItem, constraint_kinds: Collection[str]) -> None:
    """Raises ConfigError for an item without meaning, Unsupported for a constraint of a kind that
    the engine does not take.
    """
    if not 1 <= item.n <= MAX_COMPLETIONS:
        raise ConfigError(
            f"n: saw {item.n}, expected 1 to {MAX_COMPLETIONS}: ask for more by further items"
        )
    if not 0 <= item.seed < 2**63:
        raise ConfigError(f"seed: saw {item.seed}, expected one in [0, 2^63)")
    if not 0 <= item.top_logprobs <= MAX_TOP_LOGPROBS:
        raise ConfigError(
            f"top_logprobs: saw {item.top_logprobs}, expected 0 to {MAX_TOP_LOGPROBS}"
        )
    check_sampling(item.sampling)
    _check_constraint(item.sampling, constraint_kinds)


def check_sampling(sampling: Sampling) -> None:
    """Raises ConfigError for a value that has no meaning, or that arithmetic in float32 does not
    survive. The ranges are vLLM's, but that it draws a temperature between 0 and 0.01 at 0.01, and
    takes any repetition penalty above 0.
    """
    temperature, repetition = sampling.temperature, sampling.repetition_penalty
    added = f"-{MAX_ADDED_PENALTY:g} to {MAX_ADDED_PENALTY:g}; 0 is off"
    for right, name, expected in (
        (sampling.max_tokens >= 1, "max_tokens", "at least 1"),
        (
            temperature == 0 or MIN_TEMPERATURE <= temperature <= MAX_TEMPERATURE,
            "temperature",
            f"0 (greedy), or {MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}",
        ),
        (0 < sampling.top_p <= 1, "top_p", "above 0, at most 1"),
        (sampling.top_k >= 0, "top_k", "0 (off) or above"),
        (0 <= sampling.min_p <= 1, "min_p", "0 (off) to 1"),
        (abs(sampling.presence_penalty) <= MAX_ADDED_PENALTY, "presence_penalty", added),
        (abs(sampling.frequency_penalty) <= MAX_ADDED_PENALTY, "frequency_penalty", added),
        (
            MIN_REPETITION <= repetition <= MAX_REPETITION,
            "repetition_penalty",
            f"{MIN_REPETITION:g} to {MAX_REPETITION:g}; 1 is off",
        ),
        ("" not in sampling.stop, "stop", "strings of at least one character"),
    ):
        if not right:
            seen = getattr(sampling, name)
            raise ConfigError(f"sampling.{name}: saw {seen!r}, expected {expected}")
    if (stops := len(sampling.stop)) > MAX_STOPS:
        raise ConfigError(f"sampling.stop: saw {stops} of them, expected at most {MAX_STOPS}")
    if (longest := max(map(len, sampling.stop), default=0)) > MAX_STOP_CHARACTERS:
        raise ConfigError(
            f"sampling.stop: saw one of {longest} characters, expected at most "
            f"{MAX_STOP_CHARACTERS}"
        )


def check_length(prompt_tokens: int, context_tokens: int) -> None:
    """Raises TooLong for a prompt after which nothing can be drawn."""
    if prompt_tokens >= context_tokens:
        raise TooLong(
            f"prompt of {prompt_tokens} tokens: expected fewer than the context of "
            f"{context_tokens}, so that at least one can be drawn: shorten it"
        )


def check_drawn(logprobs: Iterable[float], before: int) -> None:
    """Raises EngineError for log-probabilities of drawn tokens that are no numbers, as they are
    where a logit of the model is none; `before` is how many tokens the completion had.
    """
    if not all(map(math.isfinite, logprobs)):
        raise EngineError(
            f"the model's logits after {before} drawn tokens: saw some that are not finite, "
            "expected numbers: its weights diverged or are damaged, or its dtype overflows on "
            "this prompt; serve other weights, or a wider dtype"
        )


def check_followed(constraint: Constraint | None, logprobs: Iterable[float], ended: str) -> None:
    """Raises ConfigError for a constraint that vLLM has taken and can not follow: it compiles most
    of them only when their turn comes, and ends the completion as `error`, or draws from no token.
    """
    if constraint is not None and not (ended != "error" and all(map(math.isfinite, logprobs))):
        raise ConfigError(
            f"sampling.constraint.{constraint.kinds[0]}: vLLM can not follow it, expected one that "
            "it compiles and that leaves a token to draw at each place: mend it; the service's log "
            "has vLLM's own words"
        )


def _check_constraint(sampling: Sampling, kinds: Collection[str]) -> None:
    if sampling.constraint is None:
        return
    given = sampling.constraint.kinds
    if len(given) != 1:
        raise ConfigError(
            f"sampling.constraint: expected one of regex, json_schema and grammar, saw "
            f"{' and '.join(given) or 'none'}"
        )
    if given[0] not in kinds:
        raise Unsupported(
            f"sampling.constraint.{given[0]}: this engine takes {', '.join(kinds) or 'none'}: "
            "ask a generator whose GetModel lists it, such as one that runs vLLM"
        )
