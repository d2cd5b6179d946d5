"""`roundsmith memory`: what a training takes of each GPU's memory."""

from typing import Annotated

import typer

EPILOG = "The formula is in the module training/memory.py; docs/scale.md has its table."


def memory(
    gpus: Annotated[int, typer.Option(min=1, help="That train together.")] = 8,
    length: Annotated[int, typer.Option(min=1, help="Tokens of a row (max_length).")] = 1536,
    rows: Annotated[int, typer.Option(min=1, help="Of a forward pass (micro_batch_size).")] = 1,
    checkpointing: Annotated[
        bool, typer.Option(help="Activations are made again (gradient_checkpointing).")
    ] = True,
) -> None:
    """Reckon the memory of each GPU for models of 7, 15 and 33 B parameters, trained in full or
    by LoRA, each GPU with all of a model or sharded. Nothing is measured.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from roundsmith.training.memory import table

    header, *lines = table(gpus, length * rows, checkpointing)
    shown = Table(title=f"memory of each of {gpus} GPUs", box=box.SIMPLE_HEAD, show_edge=False)
    for column in header:
        shown.add_column(column, justify="left" if column == header[0] else "right")
    for line in lines:
        shown.add_row(*line)
    Console(highlight=False).print(shown)
