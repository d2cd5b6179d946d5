"""Which profiles the executor offers, and what a caller is told who asks for another."""

from collections.abc import Collection

from roundsmith.errors import ConfigError, UnknownName
from roundsmith.executor.capabilities import Capabilities
from roundsmith.executor.supervisor import Supervisor
from roundsmith.sandbox.profiles import PYTHON
from roundsmith.types import ExecuteItem, StdioTest

_NOT_OFFERED = "not among the profiles that this executor was told to offer"


def offered(
    wanted: Collection[str], supervisors: Collection[Supervisor]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The profiles that every supervisor has, of those that are `wanted` (none means all), and why
    the others are not offered. Raises ConfigError for a wanted one that is not everywhere.
    """
    missing: dict[str, str] = {}
    for supervisor in supervisors:
        missing |= supervisor.told.missing
    known = dict.fromkeys(name for one in supervisors for name in one.told.profiles)
    here = [name for name in known if name not in missing]
    lacking = [name for name in wanted if name not in here]
    if lacking:
        raise ConfigError(
            f"profile {lacking[0]!r}: {missing.get(lacking[0], 'it is none')}; expected some of "
            f"{here}"
        )
    held_back = [name for name in here if wanted and name not in wanted]
    missing |= dict.fromkeys(held_back, _NOT_OFFERED)
    return tuple(name for name in here if name not in held_back), missing


def check_profile(item: ExecuteItem, capabilities: Capabilities) -> None:
    """Raises UnknownName, with what there is, for a profile that is not offered, ConfigError for
    tests that it can not run.
    """
    name = item.profile
    if name in capabilities.profiles:
        _check_tests(item)
        return
    why = capabilities.missing_profiles.get(name)
    raise UnknownName(
        f"profile {name!r}{f' ({why})' if why else ''}, expected one of "
        f"{list(capabilities.profiles)}"
    )


def _check_tests(item: ExecuteItem) -> None:
    if item.profile in PYTHON:
        return
    other = next((test for test in item.tests if not isinstance(test, StdioTest)), None)
    if other is not None:
        raise ConfigError(
            f"test {other.test_id}: a {type(other).__name__} with profile {item.profile}, expected "
            "StdioTest: programs of other languages are run as scripts"
        )
