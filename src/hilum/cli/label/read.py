"""`hilum label read`: a reading room for the films of a manifest or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hilum.cli.service.encryption import Cert, Key
from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import report

Order = Literal["random", "stratified", "uncertainty", "doubt", "disagreement", "drift"]
PROCESSES = 2  # one shows the film that is asked for while the other fetches ahead


def read(
    data: Annotated[Path, typer.Argument(help="A manifest, or a folder of films.", metavar="DATA")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder that keeps what is said.", metavar="DIR")],
    readers: Annotated[
        str, typer.Option(help="Who reads, by names of their choice: anna,ben.", metavar="NAME")
    ] = "reader",
    classes: Annotated[
        str | None,
        typer.Option(help="What a film may be called: normal,pneumonia; the manifest's if left out.", metavar="NAME"),
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option(help="A bundle, or default: its answer is shown once one has given one's own.", metavar="MODEL"),
    ] = None,
    blind: Annotated[bool, typer.Option("--blind", help="Never show its answer; it only orders the films.")] = False,
    assist: Annotated[
        bool, typer.Option("--assist", help="Show its answer first; every reading says that it was seen.")
    ] = False,
    order: Annotated[
        Order,
        typer.Option(
            help="Which film next: by chance, classes in turn, where the bundle is unsure, suspected labels, films "
            "that others read differently, or the farthest from what the bundle knows.",
            metavar="KIND",
        ),
    ] = "random",
    suspects: Annotated[
        Path | None, typer.Option(help="For --order doubt: what hilum data doubt --csv wrote.", metavar="FILE")
    ] = None,
    column: Annotated[
        str, typer.Option(help="For --order stratified: the manifest's column.", metavar="COLUMN")
    ] = "label",
    repeat: Annotated[
        float,
        typer.Option(
            help="The share of films that come twice, to see how a reader agrees with themselves.",
            min=0.0,
            max=1.0,
            metavar="SHARE",
        ),
    ] = 0.0,
    start: Annotated[
        Path | None,
        typer.Option(
            help="Boxes that films begin with: COCO, Label Studio's JSON, a CSV, or a folder of hilum's DICOM reports.",
            metavar="PATH",
        ),
    ] = None,
    adjudicate: Annotated[
        str | None,
        typer.Option(help="Who settles the films that --out's readers read differently.", metavar="NAME"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all that chance decides.", min=0, metavar="N")] = 1,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than this machine's need tokens.", metavar="NAME")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535, metavar="N")
    ] = 8800,
    name: Annotated[
        list[str] | None,
        typer.Option(help="A host name under which readers call, beside this machine's own.", metavar="NAME"),
    ] = None,
    cert: Cert = None,
    key: Key = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="What stands between readers and this service encrypts.")
    ] = False,
) -> None:
    """Open a reading room for films: one after the other, with keys for all that is said of them.

    Readers are blind: they see neither a film's name nor its header, nor what others or a bundle say of it before they
    have said it themselves. A reading is on the disk when it is given; stop with Ctrl-C and go on whenever you like.
    On an address that others reach each reader has a token, which stands in DIR/tokens.csv.
    """
    from hilum.bundle.card import BundleError
    from hilum.bundle.predictor import load
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.readings.folder import ReadingsError
    from hilum.label.films import RoomError
    from hilum.label.opening import Wish, open_room
    from hilum.label.server import TOKENS, serve_room, tokens_of
    from hilum.measures.figure import EvaluationError
    from hilum.service.films.served import Served
    from hilum.service.settings import LOOPBACK, Settings, SettingsError

    with one_line(BundleError, ManifestError, ReadingsError, RoomError, SettingsError, EvaluationError):
        if blind and assist:
            raise RoomError("--assist shows the answer first and --blind never; give one of them")
        predictor = load(bundle) if bundle is not None else None
        wish = Wish(
            data=data,
            out=out,
            readers=_parts(readers),
            classes=_parts(classes) if classes is not None else None,
            bundle=predictor,
            answers="first" if assist else "after" if bundle is not None and not blind else "never",
            order=order,
            suspects=suspects,
            column=column,
            repeat=repeat,
            seed=seed,
            adjudicator=adjudicate,
            start=start,
        )
        with report("looking at films") as on_progress:
            room = open_room(wish, on_progress)
        shared = host not in LOOPBACK or behind_proxy or cert is not None
        tokens = tokens_of(out, list(room.desks)) if shared else ()
        settings = Settings(
            bundles=(Served.of(predictor.path.stem, predictor),) if predictor is not None else (),
            host=host,
            port=port,
            names=LOOPBACK | {host, *(name or ())},
            tokens=tokens,
            cert=cert,
            key=key,
            behind_proxy=behind_proxy,
            processes=PROCESSES,
        )
        for reader, desk in room.desks.items():
            say(f"{reader}: {len(desk.readings()):,} of {len(desk.showings):,} films read")
        if tokens:
            say(f"tokens: {out / TOKENS}")
        serve_room(settings, room, lambda address: say(f"hilum reads on {address}"))


def _parts(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(","))
