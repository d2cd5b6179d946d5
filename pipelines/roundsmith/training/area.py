"""Where a training of several machines meets the one that asked for it: a folder of the storage
root.

    <storage>/training/<name>/request.json      what is to be trained
                              progress.jsonl    one line a step, written every few seconds
                              checkpoint.json   the last whole checkpoint: steps, files by hash
                              files/<sha256>    its files
                              failure.json      an error that trying again does not mend
                              result.json       written last: the training is finished

A reader sees each file whole or not at all. There is one writer of everything but `files/`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from roundsmith.errors import ConfigError, EngineError, RoundsmithError
from roundsmith.hashing import file_sha256
from roundsmith.store.root import Root, copy_whole
from roundsmith.training.progress import PROGRESS_FILE, Progress, parse_progress
from roundsmith.training.request import StoredResult, StoredResultJson, StoredTraining

REQUEST = "request.json"
_CHECKPOINT, _FAILURE, _RESULT = "checkpoint.json", "failure.json", "result.json"
_FAILURES: dict[str, type[RoundsmithError]] = {
    kind.__name__: kind for kind in (ConfigError, EngineError)
}
"""What the same training would end with again; all else may be a lost machine."""


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """A file of a checkpoint."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class CheckpointListing:
    """A whole checkpoint after so many steps."""

    step: int
    files: tuple[CheckpointFile, ...]


class TrainingArea:
    """One training's folder, by its URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._root = Root(url)

    @property
    def request_uri(self) -> str:
        """What a pod is started with."""
        return f"{self.url}/{REQUEST}"

    @classmethod
    def of(cls, request_uri: str) -> "TrainingArea":
        """The area of a request's URI. Raises ConfigError when it can not be one."""
        url, _, name = request_uri.rpartition("/")
        if not url or name != REQUEST:
            raise ConfigError(f"{request_uri}: expected a URI that ends in /{REQUEST}")
        return cls(url)

    def begin(self, request: StoredTraining, unfit: StoredResult | None = None) -> None:
        """Ask for the training; an earlier failure is forgotten, and a result that was seen to be
        `unfit`, checkpoints are not. A result that comes meanwhile, of pods that train on, stays.
        """
        self._root.remove(_FAILURE)
        if unfit is not None and self.result() == unfit:
            self._root.remove(_RESULT)
        self._write(REQUEST, request.model_dump_json(indent=1) + "\n")

    def request(self) -> StoredTraining:
        """What is to be trained. Raises ConfigError when there is no request."""
        text = self._root.read(REQUEST)
        if text is None:
            raise ConfigError(
                f"{self.request_uri}: expected the request of a training, saw no such file: start "
                "it with the URI that the run wrote"
            )
        return StoredTraining.parse(text, self.request_uri)

    def progress(self) -> list[Progress]:
        """The steps that were told."""
        return list(parse_progress((self._root.read(PROGRESS_FILE) or b"").decode()))

    def tell(self, lines: str) -> None:
        """Replace what was told by the lines of a progress file."""
        self._write(PROGRESS_FILE, lines)

    def checkpoint(self) -> CheckpointListing | None:
        """The last whole checkpoint."""
        text = self._root.read(_CHECKPOINT)
        if text is None:
            return None
        listing = json.loads(text)
        files = tuple(CheckpointFile(**entry) for entry in listing["files"])
        return CheckpointListing(listing["step"], files)

    def put(self, path: Path) -> CheckpointFile:
        """Store a file of a checkpoint that is not whole yet."""
        file = CheckpointFile(path.name, file_sha256(path))
        name = f"files/{file.sha256}"
        if self._root.size(name) == path.stat().st_size:
            return file
        if self._root.local:
            copy_whole(path, Path(self._root.url(name)))
        else:
            self._root.publish(path, name)
        return file

    def commit(self, step: int, files: Sequence[CheckpointFile]) -> None:
        """Make stored files the last whole checkpoint, and remove those of earlier ones."""
        listing = CheckpointListing(step, tuple(files))
        self._write(_CHECKPOINT, json.dumps(asdict(listing), indent=1) + "\n")
        self._keep_only({file.sha256 for file in files})

    def fetch(self, listing: CheckpointListing, folder: Path) -> Path:
        """A checkpoint as a local folder, every file checked."""
        folder.mkdir(parents=True)
        for file in listing.files:
            self._root.fetch(f"files/{file.sha256}", file.sha256, folder / file.name)
        return folder

    def fail(self, error: RoundsmithError) -> None:
        """Say that the training ends with this error, however often it is tried, if so it is."""
        for kind in type(error).__mro__:
            if kind.__name__ in _FAILURES:
                text = json.dumps({"kind": kind.__name__, "message": str(error)})
                self._write(_FAILURE, text + "\n")
                return

    def failure(self) -> RoundsmithError | None:
        """The error that the training ended with."""
        text = self._root.read(_FAILURE)
        if text is None:
            return None
        told = json.loads(text)
        return _FAILURES[told["kind"]](told["message"])

    def finish(self, result: StoredResult) -> None:
        """Say that the training is finished, and remove its checkpoint."""
        text = StoredResultJson.dump_json(result, indent=1).decode()
        self._write(_RESULT, text + "\n")
        self._root.remove(_CHECKPOINT)
        self._keep_only(set())

    def result(self) -> StoredResult | None:
        """The finished training, or None."""
        text = self._root.read(_RESULT)
        return None if text is None else StoredResultJson.validate_json(text)

    def _keep_only(self, hashes: set[str]) -> None:
        for name in self._root.names("files"):
            if name not in hashes:
                self._root.remove(f"files/{name}")

    def _write(self, name: str, text: str) -> None:
        with self._root.partial() as partial:
            partial.write_text(text, "utf-8")
            self._root.publish(partial, name)
