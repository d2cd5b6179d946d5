"""Whether a completion is the same alone and in company on this machine: it is tried.

Slots and their number are fixed, so that it should be. But a kernel may add in another order where
the attended length is another, or where its numbers lie in memory.
"""

from dataclasses import replace
from random import Random

from roundsmith.generator.decoder import Decoder, Prefix
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.models.loading import LoadedModel, use_threads

_PROMPT_TOKENS, _STEPS = 21, 2
_NEIGHBOUR_BUCKETS = (2, 5, 8)
"""How long the longest neighbour is, in buckets of the attended length."""


def same_in_company(loaded: LoadedModel, settings: GeneratorSettings) -> bool:
    """Draws from one prompt alone, and beside neighbours of several lengths; whether every logit
    was the same, bit for bit. Sets the threads of this one.
    """
    use_threads(settings, loaded)
    random = Random(0)

    def prompt(tokens: int) -> list[int]:
        fitting = max(1, min(tokens, loaded.context_tokens - _STEPS - 1))
        return [random.randrange(loaded.vocabulary) for _ in range(fitting)]

    mine = prompt(_PROMPT_TOKENS)
    alone = _logits(Decoder(loaded, settings), mine, 0, [])
    for number, buckets in enumerate(_NEIGHBOUR_BUCKETS):
        slot = (0, settings.slots - 1)[number % 2]
        neighbour = prompt(buckets * settings.bucket_tokens)
        if _logits(Decoder(loaded, settings), mine, slot, neighbour) != alone:
            return False
    return True


def _logits(decoder: Decoder, prompt: list[int], slot: int, neighbour: list[int]) -> list[bytes]:
    """The logits of the prompt in a slot, before the first token and after each of some, as they
    lie in memory. The neighbour, if any, is in all other slots, cut at as many lengths.
    """
    companions = [prompt[::-1]] * (decoder.prefill_rows - 1) if neighbour else []
    *_, prefix = decoder.prefill([*companions, prompt], [None] * (len(companions) + 1))
    decoder.admit(slot, prefix)
    if neighbour:
        _fill_others(decoder, slot, neighbour)
    found = [decoder.logits(slot)]
    for _ in range(_STEPS):
        decoder.advance(decoder.draw().tokens)
        found.append(decoder.logits(slot))
    return found


def _fill_others(decoder: Decoder, slot: int, neighbour: list[int]) -> None:
    prefix: Prefix
    (prefix,) = decoder.prefill([neighbour], [None])
    others = [other for other in range(decoder.slots) if other != slot]
    for number, other in enumerate(others):
        tokens = max(1, prefix.tokens - 7 * number)
        decoder.admit(other, replace(prefix, tokens=tokens))
