"""The objectives by name; each is imported when it is asked for."""

from roundsmith.training.objective import Objective


def find_objective(name: str) -> Objective:
    """The objective of this name."""
    match name:
        case "dpo":
            from roundsmith.training.dpo import OBJECTIVE
        case "grpo":
            from roundsmith.training.grpo import OBJECTIVE
        case "kto":
            from roundsmith.training.kto import OBJECTIVE
        case _:
            from roundsmith.training.sft import OBJECTIVE
    return OBJECTIVE
