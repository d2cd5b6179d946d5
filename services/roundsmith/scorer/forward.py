"""One forward pass over texts that lie end to end, and what is read from it.

A pass always has the same number of places, and each text attends to itself alone: so a text's
numbers do not depend on its neighbours. Axes: T places, D width.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from roundsmith.errors import ConfigError
from roundsmith.models.graphs import OnHost, on_device
from roundsmith.models.loading import LoadedModel, caps_scores
from roundsmith.scorer.attention import NAME, Masks, PackedAttention
from roundsmith.scorer.chains import Chain, Run
from roundsmith.scorer.head import Head, p_yes
from roundsmith.scorer.packing import Pass, Work
from roundsmith.scorer.replayed import Replayed

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)
_Way = Callable[[Sequence[Run], "NDArray[np.int64]"], torch.Tensor]
"""The last hidden states of a pass, [T, D], of its ids and positions, [2, T]."""
_PROBE = tuple(range(8))


class Forward:
    """The arithmetic of a loaded model. Not safe for several threads."""

    def __init__(self, loaded: LoadedModel, block: int) -> None:
        """ConfigError for a model whose logits are not what its output layer gives."""
        self.loaded, self._block = loaded, block
        self._head = Head(loaded)
        self._check_head()
        self._way: _Way | None = None
        self._way = self._tried()

    @property
    def packs(self) -> bool:
        """Whether several texts go through the model at once. A model that has no attention of
        transformers' own takes each alone, with nothing shared.
        """
        return self._way is not None

    @property
    def goes_on(self) -> bool:
        """Whether the device may compute a pass while the host makes the next one."""
        return self.loaded.device.type == "cuda"

    @torch.inference_mode()
    def begin(self, done: Pass) -> "Reading":
        """Computes a pass; on a GPU it may go on when this returns."""
        hidden_TD = self._hidden(done.runs, done.tokens)
        texts = [(work, run) for work, run in done.reads if work.row.question is None]
        asking = [
            (work, run)
            for work, run in done.reads
            if work.row.question is not None and not run.keeps
        ]
        asking.sort(key=_top_k)
        parts = [self._texts(hidden_TD, texts)] if texts else []
        parts += [self._answers(hidden_TD, list(same)) for _, same in groupby(asking, key=_top_k)]
        return Reading(done, tuple(parts))

    def _texts(self, hidden_TD: torch.Tensor, reads: list[tuple[Work, Run]]) -> "Part":
        """The log-probabilities of the targets of what a pass has of each row."""
        targets: list[int] = []
        places: list[NDArray[np.int64]] = []
        works: list[tuple[Work, int]] = []
        for work, run in reads:
            begin = max(run.start, work.first)
            part = work.row.targets[begin - work.first : run.stop - work.first]
            targets += part
            at = run.at + begin - run.start
            places.append(np.arange(at, at + len(part)))
            works.append((work, len(part)))
        if not targets:
            return Part(tuple(works), None)
        picks_N1 = np.array(targets, np.int64)[:, None]
        found_N1 = self._head.logprobs(hidden_TD, np.concatenate(places), picks_N1)
        return Part(tuple(works), OnHost(found_N1[:, 0]))

    def _answers(self, hidden_TD: torch.Tensor, reads: list[tuple[Work, Run]]) -> "Part":
        """What P(yes) is reckoned from, of rows whose questions see equally many tokens."""
        places = np.array([run.at + run.stop - run.start - 1 for _, run in reads])
        asked = [work.row.question for work, _ in reads if work.row.question is not None]
        picks_N3 = np.array([(one.yes, one.no, one.stand_in) for one in asked], np.int64)
        found_N3 = self._head.logprobs(hidden_TD, places, picks_N3, asked[0].top_k)
        return Part(tuple((work, 1) for work, _ in reads), OnHost(found_N3))

    def _hidden(self, runs: tuple[Run, ...], tokens: int) -> torch.Tensor:
        """The last hidden states of a pass, [T, D]."""
        both_2T = np.zeros((2, tokens), np.int64)
        for run in runs:
            num, begin = run.stop - run.start, run.chain.before + run.start
            both_2T[0, run.at : run.at + num] = run.chain.ids[run.start : run.stop]
            both_2T[1, run.at : run.at + num] = np.arange(begin, begin + num)
        if self._way is not None:
            return self._way(runs, both_2T)
        return _last_hidden(self.loaded, on_device(both_2T[:1], self.loaded.device))

    @torch.inference_mode()
    def _check_head(self) -> None:
        probe = torch.arange(2, device=self.loaded.device)[None]
        own = self._head.logits(_last_hidden(self.loaded, probe)).float()
        whole = self.loaded.model(input_ids=probe).logits[0].float()
        if not torch.allclose(own, whole, rtol=1e-2, atol=1e-2):
            raise ConfigError(
                f"{self.loaded.folder.name}: its logits are more than its output layer gives "
                f"(they differ by {float((own - whole).abs().max()):.3g}), expected a plain "
                "output layer: "
                "score with another model"
            )

    @torch.inference_mode()
    def _tried(self) -> _Way | None:
        """The fastest attention that gives what the model's own gives, but for rounding."""
        model = self.loaded.model
        usual = model.config._attn_implementation
        probe = torch.tensor([_PROBE], device=self.loaded.device)
        alone = _last_hidden(self.loaded, probe).float()
        for way in _ways(self.loaded, self._block):
            try:
                model.set_attn_implementation(NAME)
                self._way = way
                together = self._in_parts()
            except torch.OutOfMemoryError:
                raise
            except (TypeError, ValueError, KeyError, AttributeError, RuntimeError):
                continue  # it has attention of its own, or numbers that a kernel does not take
            if torch.allclose(alone, together, rtol=2e-2, atol=2e-2 * float(alone.abs().max())):
                return way
        logger.info("each text is scored alone, by the model's own attention, %s", usual)
        model.set_attn_implementation(usual)
        return None

    def _in_parts(self) -> torch.Tensor:
        """The hidden states of the probe in two parts, of a pass with another text in front."""
        begun = Chain(_PROBE[:3], followed=True)
        chains = (Chain(_PROBE[4:]), begun, Chain(_PROBE[3:], begun))
        runs, at = [], 0
        for chain in chains:
            runs.append(Run(chain, 0, len(chain.ids), at))
            at += len(chain.ids)
        return self._hidden(tuple(runs), at)[4:].float()


@dataclass(frozen=True, slots=True)
class Part:
    """What a pass reads of some rows, a number or three of each token, on its way here."""

    works: tuple[tuple[Work, int], ...]
    """Each row, and of how many of its tokens."""
    found: OnHost | None

    def end(self) -> None:
        """Waits, and appends to each row's `found`."""
        numbers = self.found.numbers() if self.found is not None else []
        at = 0
        for work, num in self.works:
            read = numbers[at : at + num]
            work.found += read if work.row.question is None else [p_yes(*read[0])]
            at += num


@dataclass(frozen=True, slots=True)
class Reading:
    """A pass that is computed, and what of it is on its way here."""

    done: Pass
    parts: tuple[Part, ...]

    def end(self) -> None:
        """Waits for all of it, and appends to each row's `found`."""
        for part in self.parts:
            part.end()


def _ways(loaded: LoadedModel, block: int) -> Iterator[_Way]:
    """Those of packed attention. None holds the `Forward` that has it, so that a model which is not
    served any more goes at once, not when cycles are looked for.
    """
    if caps_scores(loaded.model.config):
        return
    if loaded.device.type == "cuda":
        yield Replayed(partial(_last_hidden, loaded), block, loaded.device).hidden
    masks = Masks(block, loaded.context_tokens, loaded.device)

    def text_by_text(runs: Sequence[Run], both_2T: "NDArray[np.int64]") -> torch.Tensor:
        both = on_device(both_2T, loaded.device)
        packed = PackedAttention(runs, block, masks)
        return _last_hidden(loaded, both[:1], position_ids=both[1:], packed=packed)

    yield text_by_text


def _last_hidden(loaded: LoadedModel, inputs_1T: torch.Tensor, **given: Any) -> torch.Tensor:
    base = loaded.model.base_model
    hidden: torch.Tensor = base(input_ids=inputs_1T, use_cache=False, **given).last_hidden_state
    return hidden[0]


def _top_k(asking: tuple[Work, Run]) -> int:
    question = asking[0].row.question
    assert question is not None
    return question.top_k
