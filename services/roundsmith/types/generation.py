"""What the generator and the scorer are asked, and what they answer.

Log-probabilities are natural logarithms.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a completion's text must match; exactly one of the fields is given."""

    regex: str | None = None
    json_schema: str | None = None
    """The schema as JSON."""
    grammar: str | None = None
    """EBNF as GBNF has it; the text is its rule `root`."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the fields that are given."""
        named = (
            ("regex", self.regex),
            ("json_schema", self.json_schema),
            ("grammar", self.grammar),
        )
        return tuple(name for name, value in named if value is not None)


MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 2.0
"""Of a temperature that is not 0."""
MAX_ADDED_PENALTY = 2.0
"""Of presence and frequency, either way."""
MIN_REPETITION, MAX_REPETITION = 0.01, 100.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw a completion. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 are off."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    """Strings that end a completion; the match and what follows is not part of the text."""
    min_p: float = 0.0
    """Leave out tokens less likely than this share of the most likely one; 0 is off."""
    presence_penalty: float = 0.0
    """Taken from the logit of each token that the completion has already; 0 is off."""
    frequency_penalty: float = 0.0
    """Taken from a token's logit for each time that the completion has it already; 0 is off."""
    repetition_penalty: float = 1.0
    """Divides (a negative one: multiplies) the logit of each token of prompt and completion."""
    constraint: Constraint | None = None


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn. A last turn of role `assistant` is a prefix that the model continues."""

    role: str
    content: str


Prompt = str | tuple[int, ...] | tuple[ChatMessage, ...]
"""Plain text, token ids, or chat messages that the model's own template renders."""


@dataclass(frozen=True, slots=True)
class GenerateItem:
    """Ask for `n` completions of one prompt; completion i is drawn with derive_seed(seed, i)."""

    item_id: str
    prompt: Prompt
    sampling: Sampling
    seed: int
    n: int = 1
    top_logprobs: int = 0
    """How many of the most likely tokens to tell at each place."""
    adapter: str = ""
    """Name of the adapter to draw with; empty is the model itself."""
    deltas: bool = False
    """Tell the tokens as they are drawn too."""


@dataclass(frozen=True, slots=True)
class TopLogprobs:
    """The most likely tokens at one place, the most likely first."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CompletionDelta:
    """Tokens of a completion that is still being drawn; `offset` tokens come before them.

    `text` is what they completed: a character or stop string that may go on is held back.
    """

    index: int
    offset: int
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Completion:
    """One completion. `logprobs[t]` is the log-probability of `token_ids[t]`, before temperature
    and cuts; where the item has a constraint, among the tokens that it leaves there.

    `token_ids` are all sampled tokens, the end token and a stop string's tokens included.
    """

    index: int
    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: str
    """`stop` (end token or stop string) or `length`."""
    prompt_tokens: int
    weights_sha256: str
    """With an adapter, the version of the model and the adapter together."""
    top_logprobs: tuple[TopLogprobs, ...] = ()
    """One for each token, where they were asked for."""


@dataclass(frozen=True, slots=True)
class ScoreItem:
    """Ask for the log-probability of `completion` after `prompt`.

    With `end` the end token's log-probability is counted too. With `p_yes` the completion is not
    scored: the first token after the prompt is read as Yes or No, exactly, or among the
    `p_yes_top_k` most likely tokens alone (5 is InverseCoder's rule as released).
    """

    item_id: str
    prompt: Prompt
    completion: str | tuple[int, ...] = ""
    end: bool = True
    p_yes: bool = False
    p_yes_top_k: int = 0


@dataclass(frozen=True, slots=True)
class Score:
    """The answer to a ScoreItem. `p_yes` is None unless it was asked for; then `token_count` is
    0. `prompt_tokens` is 0 where it is not known: of a scorer or a row before it was told.
    """

    logprob_sum: float
    token_count: int
    weights_sha256: str
    p_yes: float | None = None
    prompt_tokens: int = 0

    @property
    def scored_tokens(self) -> int:
        """What it costs: the completion's tokens, without its prompt's, as samples are counted; of
        a judgement, which is nothing but a prompt, the prompt's and the answer's one.
        """
        return self.token_count if self.p_yes is None else self.prompt_tokens + 1

    @property
    def perplexity(self) -> float:
        """exp of the mean negative log-probability of the completion's tokens; infinite where that
        is more than a float holds.
        """
        try:
            return math.exp(-self.logprob_sum / self.token_count)
        except OverflowError:
            return math.inf
