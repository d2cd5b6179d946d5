"""The generator: prompts in, completions out, by continuous batching over fixed slots."""
