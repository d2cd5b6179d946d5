"""Every error of Roundsmith, by the boundary it comes from.

    RoundsmithError
      ConfigError            what a user wrote: INVALID_ARGUMENT, exit 2
        TooLong              more tokens than the model's context takes
        UnknownName          a recipe, a step, an adapter that is not there: NOT_FOUND
        Unsupported          what this engine can not do: UNIMPLEMENTED
        DeadlineMissing      a call without a deadline
        NotAllowed           a caller that does not own the weights: PERMISSION_DENIED
      EngineError            generator or scorer: INTERNAL
        Overloaded           a full queue: RESOURCE_EXHAUSTED with RetryInfo
        WeightsMismatch      other weights than the caller expects: FAILED_PRECONDITION
        Unavailable          not serving (loading, draining, dead): UNAVAILABLE
      Cancelled              an item that its caller gave up: CANCELLED
      SandboxError           the executor failed, not the program: INTERNAL
        IsolationFloor       a promise that this kernel does not keep: FAILED_PRECONDITION
      PlatformError          processes, pods, storage: INTERNAL
        StoreError           a shard that cannot be written or read
          Corrupt            an object whose bytes are not what was written
      IncompleteEvaluation   samples without a resolved verdict: the gate refuses, exit 1

Each class names its gRPC status; `clients` raise the class that the server raised. A message says
what was seen, what was expected and what to do.
"""

import errno
from typing import ClassVar

FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What the file system answers where this user may not read or write."""


class RoundsmithError(Exception):
    """The root. `status` is the name of the gRPC status code it crosses the wire as."""

    status: ClassVar[str] = "UNKNOWN"
    exit_code: ClassVar[int] = 1


class ConfigError(RoundsmithError):
    """What a user wrote is wrong."""

    status = "INVALID_ARGUMENT"
    exit_code = 2


class UnfitTasks(ConfigError):
    """A recipe, or every arm that is asked for of it, can not work on the tasks given."""


class TooLong(ConfigError):
    """A prompt, or a prompt with its completion, has more tokens than the model's context."""


class UnknownName(ConfigError):
    """A name of nothing that is there."""

    status = "NOT_FOUND"


class Unsupported(ConfigError):
    """Something that is meaningful, but that this engine can not do."""

    status = "UNIMPLEMENTED"


class DeadlineMissing(ConfigError):
    """A call without a deadline, or with one that is too long."""


class NotAllowed(ConfigError):
    """A caller asks for what only configured subjects may do."""

    status = "PERMISSION_DENIED"


class EngineError(RoundsmithError):
    """The generator or the scorer failed."""

    status = "INTERNAL"


class Overloaded(EngineError):
    """A queue is full. `retry_after_s` is how long to wait before the item is sent again, in
    seconds.
    """

    status = "RESOURCE_EXHAUSTED"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class WeightsMismatch(EngineError):
    """Other weights are served than the caller expects."""

    status = "FAILED_PRECONDITION"


class Unavailable(EngineError):
    """Not serving: loading, draining or dead."""

    status = "UNAVAILABLE"


class Cancelled(RoundsmithError):
    """An item that its caller gave up."""

    status = "CANCELLED"


class SandboxError(RoundsmithError):
    """The executor failed, not the program."""

    status = "INTERNAL"


class IsolationFloor(SandboxError):
    """This kernel does not keep a promise that is demanded."""

    status = "FAILED_PRECONDITION"


class PlatformError(RoundsmithError):
    """A process, a pod or storage failed."""

    status = "INTERNAL"


class StoreError(PlatformError):
    """A shard can not be written or read."""


class Corrupt(StoreError):
    """The bytes of an object are not those that it is named by: `sha256` is its name."""

    def __init__(self, message: str, sha256: str = "") -> None:
        super().__init__(message)
        self.sha256 = sha256


class IncompleteEvaluation(RoundsmithError):
    """Samples without a resolved verdict: nothing may be concluded."""

    status = "ABORTED"
