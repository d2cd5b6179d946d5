"""What a training asks of the libraries that it imports, before it does."""

import os
import sys


def hold_back() -> None:
    """No hub is asked, nothing is reported to one, and no tracker is loaded."""
    # A training reads folders; TRL would report its use.
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    # grpo hands TRL a rollout function, which TRL calls experimental in a warning.
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    # TRL would load wandb, where that is installed, though nothing is reported.
    sys.modules["wandb"] = None  # type: ignore[assignment]  # which means that there is none
