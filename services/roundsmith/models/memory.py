"""Whether an error says that memory ran out: Python's, torch's on a GPU, or its allocator's."""

_WORDS = ("allocate memory", "bad_alloc", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says it in, where the error has no class of its own."""


def out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory left for what failed."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
