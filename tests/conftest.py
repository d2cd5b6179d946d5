"""Settings of all tests."""

import os

from hypothesis import settings

# How long an example takes is no claim of ours, and CI tries the same examples on every machine.
settings.register_profile("roundsmith", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("roundsmith")
