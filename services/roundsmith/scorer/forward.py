"""One forward pass over texts that lie end to end, and what is read from it.

A pass always has the same number of places, and each text attends to itself alone: so a text's
numbers do not depend on its neighbours. Axes: T places, D width.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch

from roundsmith.errors import ConfigError
from roundsmith.models.loading import LoadedModel, caps_scores
from roundsmith.scorer.attention import NAME, Masks, PackedAttention
from roundsmith.scorer.chains import Chain, Run
from roundsmith.scorer.head import Head
from roundsmith.scorer.packing import Pass
from roundsmith.scorer.varlen import KeptKeys, VarlenAttention

logger = logging.getLogger(__name__)
_Attending = Callable[[Sequence[Run], int], PackedAttention | VarlenAttention]
"""Makes the attention of a pass of so many places."""
_PROBE = tuple(range(8))


class Forward:
    """The arithmetic of a loaded model. Not safe for several threads."""

    def __init__(self, loaded: LoadedModel, block: int) -> None:
        """ConfigError for a model whose logits are not what its output layer gives."""
        self.loaded, self._block = loaded, block
        self._head = Head(loaded)
        self._check_head()
        self._attending: _Attending | None = None
        self._attending = self._tried()

    @property
    def packs(self) -> bool:
        """Whether several texts go through the model at once. A model that has no attention of
        transformers' own takes each alone, with nothing shared.
        """
        return self._attending is not None

    @torch.inference_mode()
    def read(self, done: Pass) -> None:
        """Computes a pass and appends to each row's `found` what is read in it."""
        hidden_TD = self._hidden(done.runs, done.tokens)
        targets: list[int] = []
        places: list[int] = []
        counts: list[int] = []
        for work, run in done.reads:
            begin = max(run.start, work.first)
            part = work.row.targets[begin - work.first : run.stop - work.first]
            targets += part
            places += range(run.at + begin - run.start, run.at + begin - run.start + len(part))
            counts.append(len(part))
        logprobs = iter(self._head.logprobs(hidden_TD[places], targets) if places else ())
        for (work, _), count in zip(done.reads, counts, strict=True):
            work.found += [next(logprobs) for _ in range(count)]
        self._answer(done, hidden_TD)

    def _answer(self, done: Pass, hidden_TD: torch.Tensor) -> None:
        """P(yes) of the rows that ask."""
        asking = [(w.row.question, w, run) for w, run in done.reads if w.row.question is not None]
        asking.sort(key=lambda asked: asked[0].top_k)
        for _, same in groupby(asking, key=lambda asked: asked[0].top_k):
            ended = [asked for asked in same if not asked[2].keeps]
            if not ended:
                continue
            places = [run.at + run.stop - run.start - 1 for _, _, run in ended]
            found = self._head.answers(hidden_TD[places], [question for question, _, _ in ended])
            for (_, work, _), p_yes in zip(ended, found, strict=True):
                work.found.append(p_yes)

    def _hidden(self, runs: tuple[Run, ...], tokens: int) -> torch.Tensor:
        """The last hidden states of a pass, [T, D]."""
        both_2T = np.zeros((2, tokens), np.int64)
        for run in runs:
            num, begin = run.stop - run.start, run.chain.before + run.start
            both_2T[0, run.at : run.at + num] = run.chain.ids[run.start : run.stop]
            both_2T[1, run.at : run.at + num] = np.arange(begin, begin + num)
        there_2T = torch.from_numpy(both_2T).to(self.loaded.device)
        given: dict[str, Any] = {}
        if self._attending is not None:
            given["position_ids"] = there_2T[1:]
            given["packed"] = self._attending(runs, tokens)
        return self._last_hidden(there_2T[:1], **given)[0]

    def _last_hidden(self, inputs_1T: torch.Tensor, **given: Any) -> torch.Tensor:
        base = self.loaded.model.base_model
        hidden: torch.Tensor = base(input_ids=inputs_1T, use_cache=False, **given).last_hidden_state
        return hidden

    @torch.inference_mode()
    def _check_head(self) -> None:
        probe = torch.arange(2, device=self.loaded.device)[None]
        own = self._head.logits(self._last_hidden(probe)[0]).float()
        whole = self.loaded.model(input_ids=probe).logits[0].float()
        if not torch.allclose(own, whole, rtol=1e-2, atol=1e-2):
            raise ConfigError(
                f"{self.loaded.folder.name}: its logits are more than its output layer gives "
                f"(they differ by {float((own - whole).abs().max()):.3g}), expected a plain "
                "output layer: "
                "score with another model"
            )

    @torch.inference_mode()
    def _tried(self) -> _Attending | None:
        """The fastest attention that gives what the model's own gives, but for rounding."""
        model = self.loaded.model
        usual = model.config._attn_implementation
        alone = self._last_hidden(torch.tensor([_PROBE], device=self.loaded.device))[0].float()
        for attending in self._ways():
            try:
                model.set_attn_implementation(NAME)
                self._attending = attending
                together = self._in_parts()
            except torch.OutOfMemoryError:
                raise
            except (TypeError, ValueError, KeyError, AttributeError, RuntimeError):
                continue  # it has attention of its own, or numbers that a kernel does not take
            if torch.allclose(alone, together, rtol=2e-2, atol=2e-2 * float(alone.abs().max())):
                return attending
        logger.info("each text is scored alone, by the model's own attention, %s", usual)
        model.set_attn_implementation(usual)
        return None

    def _ways(self) -> Iterator[_Attending]:
        loaded, block = self.loaded, self._block
        if caps_scores(loaded.model.config):
            return
        if loaded.device.type == "cuda":
            kept = KeptKeys()
            yield lambda runs, tokens: VarlenAttention(runs, tokens, block, kept, loaded.device)
        masks = Masks(block, loaded.context_tokens, loaded.device)
        yield lambda runs, _: PackedAttention(runs, block, masks)

    def _in_parts(self) -> torch.Tensor:
        """The hidden states of the probe in two parts, of a pass with another text in front."""
        begun = Chain(_PROBE[:3], followed=True)
        chains = (Chain(_PROBE[4:]), begun, Chain(_PROBE[3:], begun))
        runs, at = [], 0
        for chain in chains:
            runs.append(Run(chain, 0, len(chain.ids), at))
            at += len(chain.ids)
        return self._hidden(tuple(runs), at)[4:].float()
