"""`roundsmith export` and `roundsmith push`: a run's data and checkpoints for others."""

from pathlib import Path
from typing import Annotated

import typer

from roundsmith.commands.output import out_option

export_app = typer.Typer(
    help="Data sets and checkpoints of a run, as others open them, with cards.",
    no_args_is_help=True,
)

Run = Annotated[
    str,
    typer.Argument(help="Folder of a run, or its URL, such as s3://bucket/prefix/runs/NAME."),
]
Out = Annotated[Path, out_option("Folder to write; it must not be there yet.")]
Round = Annotated[int | None, typer.Option("--round", help="Which round.", show_default="the last")]

PUSH_EPILOG = """Examples:

roundsmith export data runs/lab --out rows && roundsmith push rows me/lab-rows

HF_ENDPOINT=https://hub.example.org roundsmith push checkpoint me/lab-model --private"""


@export_app.command()
def data(
    run: Run,
    out: Out,
    round_: Round = None,
    unknown_licences: Annotated[
        bool, typer.Option("--unknown-licences", help="Keep rows whose licence is not known.")
    ] = False,
) -> None:
    """Write a round's training rows as Parquet with a data card: `datasets.load_dataset(OUT)`.

    Rows of tasks without a licence, or by a model without one, are left out unless
    --unknown-licences.
    """
    from roundsmith.handover.cards import data_card
    from roundsmith.handover.dataset import export_rows
    from roundsmith.handover.filled import filled
    from roundsmith.handover.round import finished_round

    of = finished_round(run, round_)
    with filled(out) as under_way:
        given = (of.store, of.rows, under_way, of.model_licence)
        exported = export_rows(*given, unknown_licences=unknown_licences)
        (under_way / "README.md").write_text(data_card(of, exported), "utf-8")
    rows = ", ".join(f"{count} {kind}s" for kind, count in exported.rows.items())
    typer.echo(f"{out}: {rows}; left out for their licence: {exported.left_out}")


@export_app.command()
def checkpoint(run: Run, out: Out, round_: Round = None) -> None:
    """Write a round's checkpoint as a Hugging Face folder with a model card: what it is, from which
    rows, measured how.
    """
    from roundsmith.commands.promotions import why_taken_back
    from roundsmith.handover.checkpoint import export_checkpoint
    from roundsmith.handover.round import finished_round

    of = finished_round(run, round_)
    weights = of.result.checkpoint_sha256
    export_checkpoint(of, out, why_taken_back(run, weights) if of.result.promoted else None)
    typer.echo(f"{out}: weights {weights}")


def push(
    folder: Annotated[Path, typer.Argument(help="Folder that `roundsmith export` wrote.")],
    repo: Annotated[str, typer.Argument(help="OWNER/NAME at the hub; made if it is not there.")],
    private: Annotated[bool, typer.Option("--private", help="Make it a private one.")] = False,
) -> None:
    """Put an exported folder into a repository of a model hub (HF_ENDPOINT, HF_TOKEN)."""
    from roundsmith.handover.hub import push as put

    typer.echo(put(folder, repo, private=private))
