"""Every error of Roundsmith, by the boundary it comes from.

    RoundsmithError
      ConfigError            what a user wrote: INVALID_ARGUMENT, exit 2
        UnknownName          a recipe, a step, an adapter that is not there: NOT_FOUND
        DeadlineMissing      a call without a deadline
        NotAllowed           a caller that does not own the weights: PERMISSION_DENIED
      EngineError            generator or scorer: INTERNAL
        Overloaded           a full queue: RESOURCE_EXHAUSTED with RetryInfo
        WeightsMismatch      other weights than the caller expects: FAILED_PRECONDITION
        Unavailable          not serving (loading, draining, dead): UNAVAILABLE
      SandboxError           the executor failed, not the program: INTERNAL
        IsolationFloor       a promise that this kernel does not keep: FAILED_PRECONDITION
      PlatformError          processes, pods, storage: INTERNAL
        StoreError           a shard that cannot be written or read
      IncompleteEvaluation   samples without a resolved verdict: the gate refuses, exit 1

Each class names its gRPC status; `clients` raise the class that the server raised. A message says
what was seen, what was expected and what to do.
"""

from typing import ClassVar


class RoundsmithError(Exception):
    """The root. `status` is the name of the gRPC status code it crosses the wire as."""

    status: ClassVar[str] = "UNKNOWN"
    exit_code: ClassVar[int] = 1


class ConfigError(RoundsmithError):
    status = "INVALID_ARGUMENT"
    exit_code = 2


class UnknownName(ConfigError):
    status = "NOT_FOUND"


class DeadlineMissing(ConfigError):
    pass


class NotAllowed(ConfigError):
    """A caller asks for what only configured subjects may do."""

    status = "PERMISSION_DENIED"


class EngineError(RoundsmithError):
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
    status = "FAILED_PRECONDITION"


class Unavailable(EngineError):
    status = "UNAVAILABLE"


class SandboxError(RoundsmithError):
    status = "INTERNAL"


class IsolationFloor(SandboxError):
    status = "FAILED_PRECONDITION"


class PlatformError(RoundsmithError):
    status = "INTERNAL"


class StoreError(PlatformError):
    pass


class IncompleteEvaluation(RoundsmithError):
    status = "ABORTED"
