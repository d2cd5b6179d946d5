"""The text side of a checked model folder: tokenizer, limits and ends, without its weights."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundsmith.errors import ConfigError, WeightsMismatch
from roundsmith.hashing import file_sha256, weights_sha256
from roundsmith.models.finite import refuse_not_finite, stored_tensors
from roundsmith.models.folder import ModelFolder, check
from roundsmith.models.headers import TensorShape, tensor_shapes
from roundsmith.models.loading import LoadedModel, context_tokens, load_tokenizer
from roundsmith.models.rendering import render
from roundsmith.models.settings import ModelSettings
from roundsmith.types import Prompt

_VOLATILE = ("transformers_version", "_name_or_path", "dtype", "torch_dtype", "use_cache")
"""Of config.json, what another save of the same architecture may change."""
_OF_CALLS = ("truncation", "padding")
"""Of tokenizer.json, what a call sets as it needs it."""
_MOST_SHOWN = 80
"""Characters of a value that is not the same; a vocabulary has millions."""


@dataclass(frozen=True)
class ModelText:
    """What stands between text and a model whose weights another process holds."""

    folder: ModelFolder
    config: dict[str, Any]
    tokenizer: Any
    context_tokens: int
    vocabulary: int
    end_ids: frozenset[int]
    shapes: dict[str, TensorShape]
    """Of every tensor in the folder, by name."""

    @property
    def has_chat_template(self) -> bool:
        return self.tokenizer.chat_template is not None

    def render(self, prompt: Prompt) -> Sequence[int]:
        """The prompt's token ids; see `rendering.render` for what it refuses."""
        return render(self.tokenizer, prompt, self.vocabulary, self.context_tokens)


def load_text(folder: ModelFolder, settings: ModelSettings) -> ModelText:
    """The text side of a folder that `resolve` gave. Raises ConfigError where it has none, or where
    a weight is no finite number: a rank of vLLM can not always tell, whose layers may keep nothing
    but a packed copy.
    """
    import transformers

    trusted = settings.trust_remote_code
    try:
        config: Any = transformers.AutoConfig.from_pretrained(
            folder.path, trust_remote_code=trusted
        )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"{folder.path}: its config.json is not understood ({error}): expected an architecture "
            "that this version of transformers knows"
        ) from error
    tokenizer, inner = load_tokenizer(folder, settings), config.get_text_config()
    refuse_not_finite(folder.path, stored_tensors(folder.path))
    return ModelText(
        folder=folder,
        config=config.to_dict(),
        tokenizer=tokenizer,
        context_tokens=context_tokens(inner, settings.context_tokens),
        vocabulary=int(inner.vocab_size),
        end_ids=_end_ids(folder.path, tokenizer, inner),
        shapes=tensor_shapes(folder.path),
    )


def load_successor(
    path: Path, sha256: str, served: ModelText, settings: ModelSettings
) -> ModelText:
    """The text side of a folder whose weights can take the place of those that are served.

    Raises WeightsMismatch when its version is not `sha256`, ConfigError when it is damaged or of
    another architecture or tokenizer.
    """
    check(path, settings.trust_remote_code)
    if (seen := weights_sha256(path)) != sha256:
        raise WeightsMismatch(
            f"{path}: its weight version is {seen}, expected {sha256}: "
            "the folder is another one, or not completely written; name the right one"
        )
    successor = load_text(ModelFolder(str(path), path, "", seen), settings)
    _refuse_other("tensors", path, served.shapes, successor.shapes)
    _refuse_other("config.json", path, _steady(served.config), _steady(successor.config))
    _refuse_other("tokenizer", path, _tokenizer(served), _tokenizer(successor))
    return successor


def refuse_other_model(path: Path, served: LoadedModel, found: LoadedModel) -> None:
    """Raises ConfigError unless a loaded folder differs from the model that is served in nothing
    but numbers: it has the same tensors, config, tokenizer and end tokens.
    """
    if not found.computes_like(served):
        raise ConfigError(
            f"{path}: saw a model of another architecture or size than the served one, expected "
            "the same: serve it by a service of its own"
        )
    before, after = (_steady(one.model.config.to_dict()) for one in (served, found))
    _refuse_other("config.json", path, before, after)
    _refuse_other("tokenizer", path, _speaks(served), _speaks(found))


def may_succeed(served: Path, other: Path) -> bool:
    """Whether a reload from one model folder to the other may be taken, by what their files say
    besides the weights: it is refused where they have other vocabularies, or of config.json what
    both tell is not the same. Another version of transformers tells more or less there.
    """
    if served == other:
        return True
    one, two = (_steady(_json(folder / "config.json")) for folder in (served, other))
    if any(one[name] != two[name] for name in one.keys() & two.keys()):
        return False
    first, second = (
        _json(folder / "tokenizer.json").get("model", {}) for folder in (served, other)
    )
    return bool(first.get("vocab") == second.get("vocab"))


def _json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text("utf-8"))) if file.is_file() else {}


def _speaks(loaded: LoadedModel) -> dict[str, Any]:
    """How a model's text becomes tokens, and which end it."""
    tokenizer, ends = loaded.tokenizer, {"end tokens": sorted(loaded.end_ids)}
    if (backend := getattr(tokenizer, "backend_tokenizer", None)) is None:
        return {"vocabulary": tokenizer.get_vocab()} | ends
    content: dict[str, Any] = json.loads(backend.to_str())
    return {name: part for name, part in content.items() if name not in _OF_CALLS} | ends


def _end_ids(path: Path, tokenizer: Any, config: Any) -> frozenset[int]:
    import transformers

    ends = [tokenizer.eos_token_id, config.eos_token_id]
    if (path / "generation_config.json").is_file():
        ends.append(transformers.GenerationConfig.from_pretrained(path).eos_token_id)
    flat = [one for end in ends for one in (end if isinstance(end, list) else [end])]
    return frozenset(one for one in flat if one is not None)


def _steady(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in _VOLATILE}


def _tokenizer(text: ModelText) -> dict[str, Any]:
    file = text.folder.path / "tokenizer.json"
    content = file_sha256(file) if file.is_file() else ""
    return {"tokenizer.json": content, "end tokens": sorted(text.end_ids)}


def _refuse_other(what: str, path: Path, served: dict[str, Any], found: dict[str, Any]) -> None:
    other = sorted(
        name for name in served.keys() | found.keys() if served.get(name) != found.get(name)
    )
    if not other:
        return
    first = other[0]
    seen, expected = str(found.get(first, "missing")), str(served.get(first, "none"))
    if max(len(seen), len(expected)) > _MOST_SHOWN:
        difference = f"another {first}"
    else:
        difference = f"{first} {seen} instead of {expected}"
    raise ConfigError(
        f"{path}: expected the same {what} as the model that is served, saw {difference}"
        f"{f' and {len(other) - 1} more' if other[1:] else ''}: "
        "start a service of its own for another model"
    )
