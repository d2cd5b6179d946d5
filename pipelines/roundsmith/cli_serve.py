"""The commands `roundsmith serve ...`."""

from pathlib import Path
from typing import Annotated

import typer

serve_app = typer.Typer(help="Run services on this machine.", no_args_is_help=True)

Port = Annotated[int, typer.Option(help="0 picks a free one.")]
Threads = Annotated[
    int, typer.Option(help="0 is one a core; one for models under 20 M parameters.")
]
StorageRoot = Annotated[
    str | None,
    typer.Option(help="Folder or URL (s3://bucket/prefix) that new weights may come from."),
]
WeightsCache = Annotated[
    Path | None,
    typer.Option(
        help="Folder of this service alone that weights from a URL are copied to; the last two "
        "are kept. A temporary one by default."
    ),
]
WeightsRecord = Annotated[
    str | None,
    typer.Option(
        help="File or URL that keeps which weights are served, the same for all replicas: one "
        "that starts later serves them too."
    ),
]
ReadyFile = Annotated[Path | None, typer.Option(help="Written with the addresses when ready.")]
DieWithParent = Annotated[
    bool, typer.Option("--die-with-parent", help="End when the process that started this one ends.")
]


@serve_app.command("generator")
def serve_generator(
    model: Annotated[str, typer.Option(help="`lab`, a Hugging Face folder, or a hub id.")] = "lab",
    port: Port = 0,
    admin_port: Port = 0,
    host: str = "127.0.0.1",
    storage_root: StorageRoot = None,
    weights_cache: WeightsCache = None,
    weights_record: WeightsRecord = None,
    slots: Annotated[int, typer.Option(help="Sequences decoded at once.")] = 32,
    dtype: str = "auto",
    device: str = "auto",
    threads: Threads = 0,
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code")] = False,
    ready_file: ReadyFile = None,
    die_with_parent: DieWithParent = False,
) -> None:
    """Serve GeneratorService: prompts in, completions out."""
    from roundsmith.commands.serve import generator

    options = {"slots": slots, "dtype": dtype, "device": device, "threads": threads}
    options["trust_remote_code"] = trust_remote_code
    listen = {"host": host, "port": port, "admin_port": admin_port}
    weights = {"storage_root": storage_root, "cache": weights_cache, "record": weights_record}
    generator(model, options, listen, weights, ready_file, die_with_parent)


@serve_app.command("scorer")
def serve_scorer(
    model: Annotated[str, typer.Option(help="`lab`, a Hugging Face folder, or a hub id.")] = "lab",
    port: Port = 0,
    admin_port: Port = 0,
    host: str = "127.0.0.1",
    storage_root: StorageRoot = None,
    weights_cache: WeightsCache = None,
    weights_record: WeightsRecord = None,
    dtype: str = "auto",
    device: str = "auto",
    threads: Threads = 0,
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code")] = False,
    ready_file: ReadyFile = None,
    die_with_parent: DieWithParent = False,
) -> None:
    """Serve ScorerService: log-probabilities, perplexity, P(yes)."""
    from roundsmith.commands.serve import scorer

    options = {"dtype": dtype, "device": device, "threads": threads}
    options["trust_remote_code"] = trust_remote_code
    listen = {"host": host, "port": port, "admin_port": admin_port}
    weights = {"storage_root": storage_root, "cache": weights_cache, "record": weights_record}
    scorer(model, options, listen, weights, ready_file, die_with_parent)


@serve_app.command("executor")
def serve_executor(
    port: Port = 0,
    host: str = "127.0.0.1",
    slots: Annotated[
        int, typer.Option(help="Programs run at once; 0 is one a core of this machine.")
    ] = 0,
    floor: Annotated[
        str | None, typer.Option(help="Refuse to serve below this tier: T1, T2 or T3.")
    ] = None,
    pool: Annotated[
        str, typer.Option(help="Where programs run: `local` processes, or sandbox `pods`.")
    ] = "local",
    sandboxes: Annotated[
        str, typer.Option(help="HOST:PORT of the pods' workers; a name of many is spread over.")
    ] = "",
    ready_file: ReadyFile = None,
    die_with_parent: DieWithParent = False,
) -> None:
    """Serve ExecutorService: untrusted programs in, outcomes out."""
    from roundsmith.commands.serve import executor

    options = {"slots": slots or None, "floor": floor, "pool": pool, "sandboxes": sandboxes}
    executor(options, {"host": host, "port": port}, ready_file, die_with_parent)


@serve_app.command("sandbox-worker")
def serve_sandbox_worker(
    socket: Annotated[
        Path, typer.Option(help="Where the sandbox container connects, in a shared directory.")
    ],
    address: Annotated[str, typer.Option(help="HOST:PORT to listen on.")] = "127.0.0.1:0",
    supervisors: Annotated[int, typer.Option(help="Supervisors at once; more are refused.")] = 32,
    ready_file: ReadyFile = None,
    die_with_parent: DieWithParent = False,
) -> None:
    """Serve SandboxService in a sandbox pod: a stream in, a supervisor beside it."""
    from roundsmith.commands.serve import sandbox_worker

    sandbox_worker(address, socket, supervisors, ready_file, die_with_parent)


@serve_app.command("pair-builder")
def serve_pair_builder(
    recipes: Annotated[
        list[str] | None, typer.Option(help="Packages and folders that recipes are loaded from.")
    ] = None,
    port: Port = 0,
    host: str = "127.0.0.1",
    ready_file: ReadyFile = None,
    die_with_parent: DieWithParent = False,
) -> None:
    """Serve PairBuilderService: groups in, training rows out."""
    from roundsmith.commands.serve import pair_builder

    listen = {"host": host, "port": port}
    pair_builder(recipes or ["roundsmith.recipes"], listen, ready_file, die_with_parent)


@serve_app.command("all")
def serve_all(
    model: Annotated[str, typer.Option(help="`lab`, a Hugging Face folder, or a hub id.")] = "lab",
    out: Annotated[Path, typer.Option(help="Folder of logs and checkpoints.")] = Path("runs/serve"),
) -> None:
    """Serve everything on loopback until Ctrl-C, and print where."""
    from roundsmith.commands.serve import everything

    everything(model, out)
