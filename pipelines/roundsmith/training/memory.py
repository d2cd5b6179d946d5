"""What a training takes of each GPU's memory, reckoned from the shape of the model: no measurement.

States: weights in float32 (4 B a parameter), and for each that is trained its gradient (4 B) and
its optimizer (AdamW 8 B; Adafactor a row and a column for each matrix, counted as 0). FSDP2 divides
them by the number of GPUs, and holds one layer whole beside, in bfloat16. Without it autocast keeps
a bfloat16 copy of the matrices (2 B).

Activations of one forward pass, in bfloat16, with fused attention: 34 B x hidden for each token of
a layer (Korthikanti et al., 2022, arXiv 2205.05198, without dropout and the attention matrix), kept
for one layer alone when activations are checkpointed, and 2 B x hidden of every layer's input then;
and the logits: bfloat16, float32, and their gradient (10 B x vocabulary). Add what CUDA and the
allocator take, about 2 GB.
"""

from dataclasses import dataclass

GB = 1e9


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder: its matrices alone, since norms and biases hardly count."""

    name: str
    hidden: int
    layers: int
    ffn: int
    heads: int
    kv_heads: int
    vocabulary: int
    gated: bool = True
    """Three matrices in the feed-forward part, not two."""
    tied: bool = False
    """Embeddings serve as the head too."""

    @property
    def layer(self) -> int:
        """Parameters of the matrices of one layer."""
        head = self.hidden // self.heads
        attention = 2 * self.hidden * (self.hidden + self.kv_heads * head)
        return attention + (3 if self.gated else 2) * self.hidden * self.ffn

    @property
    def parameters(self) -> int:
        """Those of all matrices."""
        embeddings = (1 if self.tied else 2) * self.vocabulary * self.hidden
        return self.layers * self.layer + embeddings

    def adapters(self, rank: int) -> int:
        """Those of LoRA on every matrix of every layer."""
        kv = self.kv_heads * (self.hidden // self.heads)
        attention = 2 * (self.hidden + self.hidden) + 2 * (self.hidden + kv)
        feed_forward = (3 if self.gated else 2) * (self.hidden + self.ffn)
        return rank * self.layers * (attention + feed_forward)


SHAPES = (
    Shape("CodeLlama-7B", 4096, 32, 11008, 32, 32, 32016),
    Shape("StarCoder2-15B", 6144, 40, 24576, 48, 4, 49152, gated=False),
    Shape("DeepSeek-Coder-33B", 7168, 62, 19200, 56, 8, 32256),
)
"""The papers' models, by their published configurations."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a model is trained."""

    name: str
    adafactor: bool = False
    lora_rank: int = 0
    sharded: bool = False


WAYS = (
    Way("full, AdamW"),
    Way("full, Adafactor", adafactor=True),
    Way("full, AdamW, sharded", sharded=True),
    Way("LoRA 16", lora_rank=16),
    Way("LoRA 16, sharded", lora_rank=16, sharded=True),
)


def states(shape: Shape, way: Way, gpus: int) -> float:
    """Bytes of weights, gradients and optimizer on each GPU."""
    trained = shape.adapters(way.lora_rank) if way.lora_rank else shape.parameters
    weights = 4 * (shape.parameters + (trained if way.lora_rank else 0))
    whole = weights + trained * (4 if way.adafactor else 12)
    if way.sharded and gpus > 1:
        return whole / gpus + 2 * max(shape.layer, shape.vocabulary * shape.hidden)
    return whole + 2 * shape.parameters


def activations(shape: Shape, tokens: int, checkpointing: bool) -> float:
    """Bytes that one forward pass over so many tokens leaves for the backward pass."""
    layers = 34 * shape.hidden * (1 if checkpointing else shape.layers)
    inputs = 2 * shape.hidden * shape.layers if checkpointing else 0
    return float(tokens * (layers + inputs + 10 * shape.vocabulary))


def needed_gb(shape: Shape, way: Way, gpus: int, tokens: int, checkpointing: bool = True) -> float:
    """Gigabytes (10^9 bytes) on each GPU."""
    return (states(shape, way, gpus) + activations(shape, tokens, checkpointing)) / GB


def table(gpus: int, tokens: int, checkpointing: bool = True) -> list[tuple[str, ...]]:
    """The header, and a row for each way with a cell for each shape, as texts."""
    rows = [("training", *(f"{shape.name} ({shape.parameters / GB:.1f} B)" for shape in SHAPES))]
    for way in WAYS:
        needed = (needed_gb(shape, way, gpus, tokens, checkpointing) for shape in SHAPES)
        rows.append((way.name, *(f"{value:.0f} GB" for value in needed)))
    return rows
