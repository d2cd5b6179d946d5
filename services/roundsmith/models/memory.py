"""Whether an error says that memory ran out: Python's, torch's on a GPU, or its allocator's."""


def out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory left for what failed; on a CPU torch says it in words alone."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)
