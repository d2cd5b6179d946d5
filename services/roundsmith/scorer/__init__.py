"""The scorer: how likely a completion is after a prompt, and how sure the model is of a Yes."""
