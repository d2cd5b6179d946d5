"""Runs a compiled pipeline by kfp.local in this process: `play_locally.py PIPELINE ROOT ARGUMENTS`.

A process of its own, because kfp's local configuration is one a process and the runner's own
warnings (display names, a base image that is not called python) are of no use to a test.
"""

import json
import sys

from kfp import components, local  # type: ignore[import-untyped]  # ships no types

local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[2], raise_on_error=True)
components.load_component_from_file(sys.argv[1])(**json.loads(sys.argv[3]))
