"""On the way through the slots: a caller's request, and the completion that a slot works on."""

from collections.abc import Callable
from dataclasses import dataclass, field

from roundsmith.generator.decoder import Prefix
from roundsmith.generator.lora import Lora
from roundsmith.generator.model_info import adapted_version
from roundsmith.generator.stops import StopStrings, TextAsDrawn
from roundsmith.hashing import derive_seed
from roundsmith.models.loading import LoadedModel
from roundsmith.types import Completion, CompletionDelta, GenerateItem, TopLogprobs

Told = Completion | CompletionDelta
"""What an item is answered with."""
Deliver = Callable[[Told | Exception], None]


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
    lora: Lora | None = None
    adapter_sha256: str = ""
    """The version of the adapter that `lora` is."""

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
    tops: list[TopLogprobs] = field(default_factory=list)
    text: TextAsDrawn | None = None
    """Where the item asks for deltas, what of the text has been told."""

    @classmethod
    def start(cls, request: Request, prefix: Prefix, loaded: LoadedModel) -> "Running":
        """The request's next completion."""
        sampling, version = request.item.sampling, loaded.weights_sha256
        if request.adapter_sha256:
            version = adapted_version(version, request.adapter_sha256)
        running = cls(
            request=request,
            index=request.started,
            prompt_tokens=prefix.tokens,
            limit=min(sampling.max_tokens, loaded.context_tokens - prefix.tokens),
            stops=StopStrings(loaded.tokenizer, sampling.stop),
            end_ids=loaded.end_ids,
            weights_sha256=version,
            text=TextAsDrawn(loaded.tokenizer, sampling.stop) if request.item.deltas else None,
        )
        request.started += 1
        return running

    @property
    def seed(self) -> int:
        return derive_seed(self.request.item.seed, self.index)

    def add(self, token_id: int, logprob: float, tops: TopLogprobs | None) -> Told | None:
        """Take a drawn token; the completion when that was the last one."""
        self.token_ids.append(token_id)
        self.logprobs.append(logprob)
        if tops is not None:
            self.tops.append(tops)
        if token_id in self.end_ids or self.stops.reached(self.token_ids):
            return self._finished("stop")
        if len(self.token_ids) == self.limit:
            return self._finished("length")
        if self.text is None:
            return None
        text = self.text.completed(self.token_ids)
        offset = len(self.token_ids) - 1
        return CompletionDelta(self.index, offset, (token_id,), (logprob,), text)

    def _finished(self, reason: str) -> Completion:
        return Completion(
            index=self.index,
            text=self.stops.text(self.token_ids),
            token_ids=tuple(self.token_ids),
            logprobs=tuple(self.logprobs),
            finish_reason=reason,
            prompt_tokens=self.prompt_tokens,
            weights_sha256=self.weights_sha256,
            top_logprobs=tuple(self.tops),
        )
