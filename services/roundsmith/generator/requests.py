"""On the way through the slots: a caller's request, and the completion that a slot works on."""

from collections.abc import Callable
from dataclasses import dataclass, field

from roundsmith.generator.decoder import Prefix
from roundsmith.generator.stops import StopStrings
from roundsmith.hashing import derive_seed
from roundsmith.models.loading import LoadedModel
from roundsmith.types import Completion, GenerateItem

Deliver = Callable[[Completion | Exception], None]


@dataclass(eq=False, slots=True)
class Request:
    """An item whose completions from `started` on wait for a slot.

    `deliver` may be called from any thread.
    """

    item: GenerateItem
    deliver: Deliver
    started: int = 0
    cancelled: bool = False
    ids: list[int] | None = None
    """The prompt as tokens, once rendered."""
    prefix: Prefix | None = None
    """The prompt's forward pass, kept from its first completion to its last."""

    @property
    def waiting(self) -> int:
        return self.item.n - self.started


@dataclass(eq=False, slots=True)
class Running:
    """One completion in a slot. `limit` is the most tokens that it may draw."""

    request: Request
    index: int
    prompt_tokens: int
    limit: int
    stops: StopStrings
    end_ids: frozenset[int]
    weights_sha256: str
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, request: Request, prefix: Prefix, loaded: LoadedModel) -> "Running":
        """The request's next completion."""
        sampling = request.item.sampling
        running = cls(
            request=request,
            index=request.started,
            prompt_tokens=prefix.tokens,
            limit=min(sampling.max_tokens, loaded.context_tokens - prefix.tokens),
            stops=StopStrings(loaded.tokenizer, sampling.stop),
            end_ids=loaded.end_ids,
            weights_sha256=loaded.weights_sha256,
        )
        request.started += 1
        return running

    @property
    def seed(self) -> int:
        return derive_seed(self.request.item.seed, self.index)

    def add(self, token_id: int, logprob: float) -> Completion | None:
        """Take a drawn token; the completion when that was the last one."""
        self.token_ids.append(token_id)
        self.logprobs.append(logprob)
        if token_id in self.end_ids or self.stops.reached(self.token_ids):
            return self._finished("stop")
        return self._finished("length") if len(self.token_ids) == self.limit else None

    def _finished(self, reason: str) -> Completion:
        return Completion(
            index=self.index,
            text=self.stops.text(self.token_ids),
            token_ids=tuple(self.token_ids),
            logprobs=tuple(self.logprobs),
            finish_reason=reason,
            prompt_tokens=self.prompt_tokens,
            weights_sha256=self.weights_sha256,
        )
