"""What the header of a safetensors file tells: whether the file is whole, and its tensors' shapes.
No tensor is read, no torch needed.

The format: 8 bytes of the header's length, the header (JSON; every tensor with the begin and end of
its bytes), then those bytes, up to the end of the file. Their values are not looked at.
"""

import json
from pathlib import Path
from typing import Any

from roundsmith.errors import ConfigError

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000
"""What the safetensors library itself takes at most."""


TensorShape = tuple[int, ...]


def tensor_shapes(folder: Path) -> dict[str, TensorShape]:
    """The shape of every tensor in the safetensors files of a folder, by name. ConfigError for a
    broken file.
    """
    headers = [refuse_broken(file) for file in sorted(folder.glob("*.safetensors"))]
    return {
        name: tuple(tensor["shape"])
        for tensors in headers
        for name, tensor in tensors.items()
        if name[:2] != "__"
    }


def refuse_broken(file: Path) -> dict[str, Any]:
    """The header; raises ConfigError unless the file has the bytes that it declares."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if size < _LENGTH_BYTES or length > min(_MAX_HEADER_BYTES, size - _LENGTH_BYTES):
            raise _broken(file, f"{size} bytes, in which its header does not fit")
        text = stream.read(length)
    try:
        tensors = json.loads(text)
        ends = [tensor["data_offsets"][1] for name, tensor in tensors.items() if name[:2] != "__"]
        declared = _LENGTH_BYTES + length + max(ends, default=0)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise _broken(file, f"a header that can not be read ({error})") from error
    if size != declared:
        raise _broken(file, f"{size} bytes where its header declares {declared}")
    return dict(tensors)


def _broken(file: Path, seen: str) -> ConfigError:
    return ConfigError(
        f"{file}: expected a whole safetensors file, saw {seen}: copy or download it again"
    )
