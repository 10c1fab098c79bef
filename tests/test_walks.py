"""Every block of commands and of Python in README and docs runs as it stands, in the order in which it is read.

What would take long is made small where no reader sees it: phantoms are drawn small, recipes train a small network for
an epoch. What cannot run here is listed with its reason, and a new block that is neither is a failure.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
import uvicorn
from bundles import tiny_detection_bundle
from commands import run
from conftest import PYDICOM_DATA_FILES
from local_bundles import hospital, settable_bundle
from PIL import Image
from test_box_sweeps import drawn

import hilum
from hilum.bundle.card import Card
from hilum.bundle.drift.baseline import DriftCard
from hilum.bundle.drift.fitting import local_baseline
from hilum.bundle.reading import Reading
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.dataset.phantom import phantom
from hilum.dataset.phantom.phantom import write_phantoms
from hilum.export import train as export_train
from hilum.training import recipe, session
from hilum.training.run import Run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(path for path in ROOT.joinpath("docs").rglob("*.md") if path.parent.name != "api")]
PROGRAMS = ("hilum", "python", "pip", "make", "torchrun")

INSTALLS = "installs from the network; tests/test_wheel.py and `make demo` install hilum"
OURS = "sets up an environment of its own: `make test` is what runs this, and tests/test_wheel.py walks the demo"
REAL = "is about real films, which are not in the repository"
SERVES = "waits for requests until it is stopped; tests/test_serve.py and its neighbors start it and ask it"
READS = "waits for readers until it is stopped; tests/test_label_page.py reads there"
WATCHES = "waits for films until it is stopped; tests/test_watch.py starts it and stops it in every way"
NODE = "waits for films until it is stopped; tests/test_node.py starts it, sends to it and kills it"
CONTAINERS = "needs a container engine and base images"
ARRAY = "is about films on a machine of one's own; tests/test_scale.py shares out jobs, archives and tables"
CLUSTER = "starts or needs a cluster of Ray; tests/test_scale_ray.py has one of two nodes"
OWN = "needs films that the phantoms' model can tell apart; the walk of docs/your-hospital.md has some"
HOURS = "trains large networks for hours; tests/test_transfer_published.py takes a step with each network and optimizer"
WEIGHTS = "needs a hub's weights; tests/test_transformers.py trains by this recipe from none"
FROZEN = "needs an encoder's weights; tests/test_frozen_encoder.py has a file and a hub of its own"
GOES_ON = "trains a large network for minutes; tests/test_start.py goes on from smaller ones"
FOLDS = "needs more films than are drawn here; tests/test_folds.py"
LATER = "is about films of later months; tests/test_drift_command.py gives it films of every kind"
NOT_RUN = {
    "hilum drift local.onnx later/manifest.parquet -o drift": LATER,
    "hilum drift local.onnx later/manifest.parquet --state drift-state.json": LATER,
    "pip install .": INSTALLS,
    "pip install '.[data]'": INSTALLS,
    "pip install '.[train]'": INSTALLS,
    "pip install '.[serve]'": INSTALLS,
    "pip install '.[dicom]'": INSTALLS,
    "pip install '.[dicom,serve]'": INSTALLS,
    "pip install . ./hilum-browser": INSTALLS,
    "python -m http.server -d site": SERVES,
    "make demo": OURS,
    "make serve": SERVES,
    "make node": NODE,
    "docker build --target node -t hilum-node .": CONTAINERS,
    "docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --memory 4g --publish "
    "127.0.0.1:11112:11112 --volume $PWD/NODE.toml:/etc/hilum/NODE.toml:ro "
    "--volume hilum-spool:/spool hilum-node": CONTAINERS,
    "docker build --target mercure -t hilum-mercure .": CONTAINERS,
    "hilum serve": SERVES,
    "hilum serve --model default --model ward=model.onnx": SERVES,
    "hilum serve --model ward=model.onnx --port 9000": SERVES,
    "curl http://127.0.0.1:8000/v1/predictions -H 'Content-Type: application/dicom' --data-binary @film.dcm": SERVES,
    "curl http://127.0.0.1:8000/v1/predictions -F film=@one.png -F film=@two.dcm": SERVES,
    "hilum label films --out reads": READS,
    "hilum label films --out reads --classes normal,pneumonia": READS,
    "hilum label ours/manifest.parquet --out reads --readers anna,ben": READS,
    "hilum label ours/manifest.parquet --out reads --adjudicate carla": READS,
    "hilum label ours/manifest.parquet --out reads --readers anna,ben --host reading.example --cert cert.pem "
    "--key key.pem": READS,
    "hilum label adopt reads --by adjudicated --out ours/read.parquet": READS,
    "hilum label ours/manifest.parquet --out reads --start reports": READS,
    "hilum label import theirs.json ours/manifest.parquet --out reads --reader anna": READS,
    "hilum label export reads --by majority --as coco --out ours.json": READS,
    "hilum label ours --out reads --readers anna,ben --classes normal,pneumonia --repeat 0.05": READS,
    "hilum label ours --out reads --adjudicate carla": READS,
    "hilum label adopt reads --by adjudicated --out ours/manifest.parquet": READS,
    "hilum evaluate default ours/manifest.parquet --split all --readings reads -o judged": READS,
    "hilum calibrate default judged -o local.onnx --target sensitivity=0.9": READS,
    "pip install '.[label]'": INSTALLS,
    "hilum watch /mnt/films --out results": WATCHES,
    "hilum watch /mnt/films --out results --overlays": WATCHES,
    "hilum node NODE.toml": NODE,
    "hilum node status NODE.toml": NODE,
    "hilum node retry NODE.toml": NODE,
    "hilum node drop NODE.toml 7": NODE,
    "pip install '.[archive]'": INSTALLS,
    "pip install '.[doubt]'": INSTALLS,
    "hilum data doubt films/manifest.parquet --run folds --csv suspects.csv --html doubt.html": FOLDS,
    "hilum predict /mnt/films --out /mnt/results --shard 3/64": ARRAY,
    "pip install '.[scale]'": INSTALLS,
    "hilum predict ward/ --out results --ray local": CLUSTER,
    "hilum predict /mnt/films --out /mnt/results --ray head:6379": CLUSTER,
    "torchrun --nnodes 1:4 --nproc-per-node 8 --max-restarts 10 --rdzv-backend c10d --rdzv-endpoint FIRST:29400 "
    "-m hilum train films/manifest.parquet --out /shared/run": "needs machines; tests/test_two_machines.py has two",
    "hilum predict s3://films/2026/ --out s3://answers/2026": "needs a store; tests/test_scale_stores.py has one",
    "hilum predict model.onnx shards/ films.parquet --out results --processes 16 --overlays": ARRAY,
    "docker build -t hilum .": CONTAINERS,
    "docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --memory 4g --publish "
    '127.0.0.1:8000:8000 --env HILUM_TOKEN="$(cat token)" hilum --name films.example.org': CONTAINERS,
    "python3 -c 'import secrets; print(secrets.token_urlsafe(32))' > token && chmod 600 token": "is the shell's",
    "make test": OURS,
    "hilum data fetch kermany films": "downloads a data set; tests/test_fetch.py fetches from a server of its own",
    "make model DATA=FOLDER": REAL,
    "hilum train films/manifest.parquet --folds 5 -o folds": FOLDS,
    "hilum ensemble folds -o model.onnx": FOLDS,
    "python results/kermany_split.py model.onnx films/manifest.parquet": REAL,
    "python results/originals.py model.onnx COPIES ORIGINALS": REAL,
    "hilum calibrate model.onnx ours/manifest.parquet -o local.onnx": OWN,
    "hilum robustness default model/films.parquet --films 200 -o robustness": REAL,
    "hilum data phantom films -n 1500 --layout rsna --size 192 --seed 5": "draws for minutes, for the figure beside it",
    "hilum train films --recipe boxes --set input.height=160 --set input.width=160 --set detector.first_stride=8": (
        "trains for minutes on these 1,500 phantoms, for the figure beside it"
    ),
    "hilum train films/manifest.parquet --from default -o mine": GOES_ON,
    "hilum train films/manifest.parquet --from default": GOES_ON,
    "hilum train films/manifest.parquet --from runs/mine": GOES_ON,
    "hilum train films --recipe vision-transformer": WEIGHTS,
    "hilum train films --recipe detection-transformer": "trains for minutes; tests/test_detection_training.py",
    "hilum train films --recipe frozen-encoder": FROZEN,
    "hilum train films --recipe frozen-encoder --set network.name=vit_base_patch14_reg4_dinov2 "
    "--set network.weights=encoder.safetensors --sweep network.head=linear,mlp "
    "--sweep frozen.regularization=1e-4,1e-3,1e-2": FROZEN,
    "hilum train films --recipe frozen-encoder --set network.weights=hub:OWNER/NAME@COMMIT": FROZEN,
    "hilum train films --recipe frozen-encoder --set network.weights=hub:OWNER/NAME/FILE.safetensors@COMMIT": FROZEN,
    "hilum train films/manifest.parquet --recipe three-classes-small-cnn --sweep training.batch_size=1,35,300": HOURS,
    "hilum train films/manifest.parquet --recipe transfer-published "
    "--sweep optimizer.name=adam,sgd,rmsprop,adagrad,adadelta": HOURS,
    "hilum train films/manifest.parquet --recipe transfer-published "
    "--sweep network.name=alexnet,vgg16,resnet18,resnet50": HOURS,
}
# Blocks that are neither commands nor Python, by their first line.
NO_CODE = {
    "patientId,PredictionString": "a file as it is written",
    'spool = "spool"': "a node's settings",
    "[[catch_up]]": "the same",
    "[http]": "the same",
    "sudo apt install orthanc-dicomweb": "needs an Orthanc that runs; tests/test_node_orthanc.py has one",
    "server {": "a proxy's settings",
    "[Unit]": "a service manager's settings",
    "[Service]": "the same",
    "[Install]": "the same",
    "#SBATCH --array=1-64": "a job of SLURM's",
}


class Block(NamedTuple):
    """Code on a page."""

    page: Path
    line: int
    text: str
    is_python: bool

    def commands(self) -> list[str]:
        """As typed, without what is said of them; a line that ends in a backslash goes on in the next."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        return [command for line in lines if (command := re.sub(r"(^|\s+)#\s.*$", "", line).strip())]


def blocks(page: Path) -> Iterator[Block]:
    """Fenced and indented code; an indented block follows an empty line, as Markdown has it."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$|(?<=\n\n)((?:    [^\n]*\n)+)", text, re.MULTILINE | re.DOTALL):
        line = text[: found.start()].count("\n") + 1
        yield Block(page, line, found[2] or found[3], found[1] == "python")


def small_recipe(name: str, settings: Any = (), *, read: Callable[..., recipe.Recipe]) -> recipe.Recipe:
    """The recipe with a small network and one epoch, below whatever the command sets."""
    plain = read(name)
    small = [f"phases.{number}.epochs=1" for number in range(len(plain.phases))]
    small += ["network.weights=none", "network.dropout=0", "training.ema=0"]
    if plain.detector:
        small += [
            "network.name=timm/test_efficientnet",
            "detector.first_stride=8",
            "detector.levels=2",
            "training.batch_size=4",
        ]
        small += ["input.height=64", "input.width=64"]
    else:
        small += ["network.name=small_cnn1", "network.head=linear", "training.batch_size=8"]
        small += ["input.height=16", "input.width=16"]
    return read(name, [*small, *settings])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "read_recipe", partial(small_recipe, read=recipe.read_recipe))
    monkeypatch.setattr(phantom, "write_phantoms", partial(small_phantoms, write=phantom.write_phantoms))


@pytest.fixture
def nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that serves would never end."""
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_: pytest.fail("it waits for requests; list it in NOT_RUN"))


def hand_made(trained: Run, bundle: Path, *, folder: Path, **others: Any) -> Card:
    """What a run ends in, without the seconds that an export takes: the README's walk has the real ones."""
    shutil.copy(folder / ("fold0.onnx" if trained.recipe().detector else "model.onnx"), bundle)
    return hilum.load(bundle).card


def small_phantoms(
    folder: Path, count: int, layout: str, seed: int, size: int, *, write: Callable[..., None], **others: Any
) -> None:
    write(folder, count, layout, seed, 64, **others)


def phantoms(folder: Path) -> Path:
    """Films with boxes in class folders, split; most of them are for validation, which has to set thresholds."""
    write_phantoms(folder, 180, "folder", size=64)
    manifest, _, _ = import_folder(folder, processes=1)
    rows = range(manifest.table.height)
    table = manifest.table.with_columns(
        split=pl.Series([("train", "val", "val", "val", "test")[row % 5] for row in rows]),
        ward=pl.Series([("north", "south")[row % 2] for row in rows]),
    )
    save_manifest(Manifest(table, folder), folder / "manifest.parquet")
    return folder / "manifest.parquet"


def known_films(folder: Path) -> DriftCard:
    """What the films of validation look like to the bundle."""
    predictor = hilum.load(settable_bundle(folder))
    table = load_manifest(folder / "films/manifest.parquet").table.filter(pl.col("split") == "val")
    films = [folder / "films" / path for path in table.unique("patient", maintain_order=True)["path"]]
    readings = [reading for reading in predictor.readings(films) if isinstance(reading, Reading)]
    return local_baseline(predictor.card, readings)


@pytest.fixture(scope="module")
def presumed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with whatever pages presume that their reader has."""
    folder = tmp_path_factory.mktemp("presumed")
    manifest = phantoms(folder / "films")
    shutil.copytree(folder / "films", folder / "FOLDER", ignore=shutil.ignore_patterns("*.parquet", "*.csv"))
    film = Image.open(next(folder.rglob("films/**/*.png"))).convert("L").resize((240, 300))
    shutil.copy(PYDICOM_DATA_FILES / "RG1_UNCR.dcm", folder / "film.dcm")
    for name in ("YOUR-FILMS", "FILMS", "ward", "stage_2_test_images"):
        (folder / name).mkdir()
        film.save(folder / name / "film.png")
    for name in ("film.jpeg", "negative.png", "films/one.png"):
        film.save(folder / name)
    write_phantoms(folder / "lateral", 4, "folder", size=64)
    lateral, _, _ = import_folder(folder / "lateral", processes=1)
    save_manifest(lateral, folder / "lateral.parquet")
    shutil.copy(settable_bundle(folder, drift=known_films(folder)), folder / "model.onnx")
    hospital(folder / "ours")
    for name in ("fold0.onnx", "fold1.onnx"):
        shutil.copy(tiny_detection_bundle(folder, title=name), folder / name)
    np.save(folder / "films.npy", np.zeros((2, 16, 16), np.uint8))
    settings = {"network.name": "small_cnn1", "network.weights": "none", "network.dropout": 0, "training.ema": 0}
    settings |= {"input.height": 16, "input.width": 16, "training.batch_size": 8, "phases.0.epochs": 2}
    hilum.train(manifest, settings=settings, out=folder / "runs/20260101-120000-default", device="cpu", bundle=False)
    (folder / "predictions.jsonl").write_text(run("predict", "fold0.onnx", "films", "--json", cwd=folder).stdout)
    return folder


def newest_run(folder: Path) -> Path:
    return max((path for path in folder.glob("runs/*-*") if not path.is_symlink()), key=lambda path: path.name)


def call(command: str, folder: Path) -> str:
    """Give a command as it is typed; what it prints. RUN is the newest run, where there is one."""
    if (folder / "runs").is_dir():
        for name in ("RUN", "runs/RUN", "fold0", "fold1"):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(newest_run(folder))
    program, *words = shlex.split(command)
    assert program == "hilum", f"{command}: is neither run nor listed"
    answer = run(*words, cwd=folder)
    assert answer.returncode == 0, f"{command}: {answer.stderr or answer.stdout}"
    return answer.stdout


def walk(page: Path, folder: Path) -> None:
    names: dict[str, Any] = {"paths": ["film.dcm", "film.jpeg"], "__name__": page.name}
    for number in range(2):
        names[f"truths{number}"], names[f"raw{number}"] = drawn(number)
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.is_python:
            with chdir(folder):
                exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
            continue
        if block.commands()[0] in NO_CODE:
            continue
        for command in block.commands():
            if command in NOT_RUN:
                continue
            if command.startswith("hilum data phantom films"):
                shutil.rmtree(folder / "films")
            print(f"{where}: {command}")
            call(command, folder)


@pytest.mark.usefixtures("small", "exports_remembered", "nothing_waits")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(True for _ in blocks(page))], ids=lambda page: page.name
)
def test_every_block_of_a_page_runs_as_it_stands(
    page: Path, presumed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(presumed, folder, symlinks=True)
    if page.name == "your-hospital.md":
        (folder / "ours/manifest.parquet").unlink()  # the page begins with the import
    if page.name == "detection.md":
        shutil.copy(folder / "fold0.onnx", folder / "model.onnx")
    if page.name != "README.md":
        monkeypatch.setattr(export_train, "export_run", partial(hand_made, folder=presumed))
    walk(page, folder)
    if page.name == "README.md":
        assert hilum.load(folder / "model.onnx").card.data.counts
        assert {"report.html", "metrics.json", "predictions.csv"} <= {path.name for path in folder.glob("report/*")}


def test_what_is_not_run_stands_on_some_page() -> None:
    there = {command for page in PAGES for block in blocks(page) if not block.is_python for command in block.commands()}
    assert NOT_RUN.keys() | NO_CODE.keys() <= there
