"""The lab's own byte-level BPE tokenizer: a prompt's tokens never depend on its completion."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END, PAD = "<|end|>", "<|pad|>"
VOCABULARY = 768
CUTS = (
    r"\n"  # alone, because prompts end in it
    r"| {4}"
    r"|[A-Za-z](?=[A-Za-z]*')"  # words of values letter by letter: the model works on letters
    r"| ?[A-Za-z_]+"
    r"| ?\d"
    r'| ?(?:"""|###|==|//|\*\*|->|\[:+|[\])}]+:?|[^\sA-Za-z0-9_])'
    r"| "
)
"""An open bracket stands alone too: test prompts end in `solve(`."""


def train_tokenizer(texts: Iterable[str]) -> "PreTrainedTokenizerFast":
    """Learn the merges. No token is added around a text; the end token is the begin token as
    well.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CUTS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=PAD,
        model_max_length=512,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
