"""Whether a safetensors file is whole, by its header alone: no tensor is read, no torch needed.

The format: 8 bytes of the header's length, the header (JSON; every tensor with the begin and end of
its bytes), then those bytes, up to the end of the file. Their values are not looked at.
"""

import json
from pathlib import Path

from roundsmith.errors import ConfigError

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000
"""What the safetensors library itself takes at most."""


def refuse_broken(file: Path) -> None:
    """Raises ConfigError unless the file has the bytes that its header declares."""
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


def _broken(file: Path, seen: str) -> ConfigError:
    return ConfigError(
        f"{file}: expected a whole safetensors file, saw {seen}: copy or download it again"
    )
