"""What a generator says that it serves."""

from dataclasses import dataclass

from roundsmith.hashing import content_hash


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter (LoRA) beside the model; the message Adapter."""

    name: str
    sha256: str
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is served; the fields of GetModelResponse."""

    model: str
    weights_sha256: str
    engine: str
    context_tokens: int
    slots: int
    reproducible: bool
    has_chat_template: bool
    constraint_kinds: tuple[str, ...]
    adapters: tuple[Adapter, ...]
    rank_weights_sha256: tuple[str, ...]
    dtype: str

    def version(self, adapter: str) -> str | None:
        """What completions drawn with an adapter carry, or with none, which has no name; None where
        no adapter has the name.
        """
        found = {one.name: one.weights_sha256 for one in self.adapters}
        return ({"": self.weights_sha256} | found).get(adapter)


def adapted_version(weights_sha256: str, adapter_sha256: str) -> str:
    """The weight version of a model with an adapter."""
    return content_hash("adapted", weights_sha256, adapter_sha256)
