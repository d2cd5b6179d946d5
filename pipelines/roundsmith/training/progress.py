"""`progress.jsonl`: one line a step, written while a training runs and read by who waits for it."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path

PROGRESS_FILE = "progress.jsonl"


@dataclass(frozen=True, slots=True)
class Progress:
    """One optimizer step of `of`. `loss` is the objective's: of sft the mean over the step's
    trained tokens, in nats, of dpo and kto the mean over its rows.
    """

    step: int
    of: int
    loss: float
    learning_rate: float
    tokens_per_s: float
    seconds_left: float
    reward: float | None = None
    """Of grpo: the mean over the step's completions that have one."""
    prompt_tokens: int = 0
    """Of grpo, as the two below: what the step's rollouts took. A prompt is read once."""
    sampled_tokens: int = 0
    executions: int = 0
    seconds: float = 0.0
    """That the steps so far took, those before the checkpoint included that it goes on from."""
    cpu_s: float = 0.0
    """CPU seconds of the training's own process until then, that of an earlier one included up to
    the checkpoint.
    """


class ProgressLog:
    """Appends lines to the progress file of a folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / PROGRESS_FILE

    def restart(self, step: int, checkpoint: Path | None = None) -> None:
        """Drop the lines after `step`, which a resumed training writes again; those before are the
        checkpoint's, where it has any.
        """
        kept = None if checkpoint is None else checkpoint / PROGRESS_FILE
        source = self.path if kept is None or not kept.exists() else kept
        self.replace([line for line in read_progress(source) if line.step <= step])

    def keep_beside(self, partial: Path) -> None:
        """Put the lines into a checkpoint, of which they are: counts of rollouts are in no other
        place, and this file itself is lost with its machine, or cut short.
        """
        if self.path.exists():
            shutil.copyfile(self.path, partial / PROGRESS_FILE)

    def replace(self, lines: Iterable[Progress]) -> None:
        """Begin with these lines."""
        self.path.write_text("".join([_line(progress) for progress in lines]))

    @property
    def seconds(self) -> float:
        """What the steps of its lines took."""
        return max((line.seconds for line in read_progress(self.path)), default=0.0)

    @property
    def cpu_s(self) -> float:
        """CPU seconds that were spent on its lines."""
        return max((line.cpu_s for line in read_progress(self.path)), default=0.0)

    def add(self, progress: Progress) -> None:
        """Append a line."""
        with self.path.open("a") as stream:
            stream.write(_line(progress))


class ProgressTail:
    """The lines that were completed since the last look; `read` gives all of them, and `seen` are
    those that an earlier process left.
    """

    def __init__(
        self, read: Callable[[], Iterable[Progress]], seen: Iterable[Progress] = ()
    ) -> None:
        self._read = read
        self._seen = list(seen)

    def fresh(self) -> list[Progress]:
        """Complete lines not seen before. A restart takes lines back: those that it keeps are seen,
        those that it writes again are fresh, for they tell another speed.
        """
        lines = list(self._read())
        pairs = zip(lines, self._seen, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        self._seen = lines
        return lines[same:]


def gone_on_with(before: Iterable[Progress], now: Iterable[Progress]) -> float:
    """CPU seconds of an earlier process, up to the checkpoint that a training went on from: of the
    lines `before` it those that are there `now`. What was trained again is not counted.
    """
    kept = set(now)
    return max((line.cpu_s for line in before if line in kept), default=0.0)


def read_progress(path: Path) -> Iterator[Progress]:
    """The complete lines of a progress file; none when there is no file."""
    return parse_progress(path.read_text() if path.exists() else "")


def parse_progress(text: str) -> Iterator[Progress]:
    """The complete lines of a progress file's text."""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            yield Progress(**json.loads(line))


def _line(progress: Progress) -> str:
    return json.dumps(asdict(progress)) + "\n"
