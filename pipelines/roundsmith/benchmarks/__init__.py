"""Tasks from files: the documented schema of a user's own, MBPP and HumanEval."""
