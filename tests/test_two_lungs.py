"""A gate that asks for two lungs: in the graph, on the card, in words, the same in Python and in the browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from commands import run as command
from exported import make_run, phantom_manifest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_multi_scale import SIDE, lively

import hilum
from hilum.bundle.card import BundleError, Card, GateCard, TwoLungsCard
from hilum.bundle.card_page import sections
from hilum.bundle.format import LATERAL, NO_TWO_LUNGS, STATES
from hilum.bundle.gate import verdict
from hilum.bundle.onnx_file import read_card, write_numbers
from hilum.dataset.phantom.film import draw_phantom
from hilum.export.ensemble.ensemble import ensemble
from hilum.export.export import ExportOptions, export_run
from hilum.export.gate.two_lungs import TwoLungs, learn_two_lungs, lung_head, shares_of_lung
from hilum.export.material import best_network, is_positive, open_material
from hilum.network.heads.lungs import SHARPNESS
from hilum.radiograph.radiograph import Radiograph
from hilum.training.checkpoint import read_state, write_state
from hilum.training.run import Run

pytestmark = pytest.mark.usefixtures("exports_remembered")
Floats = NDArray[np.floating]
ALL = [*STATES, LATERAL, NO_TWO_LUNGS]
CARD = GateCard(0.01, 0.7, 100, "", ALL)
GRAY = np.linspace(0, 1, 6400, dtype=np.float32).reshape(80, 80)


def film() -> Radiograph:
    return Radiograph(GRAY, "png", "PNG", "L", 8, 80, 80)


def parted(rows: Floats, share: Floats, limit: float, turned_limit: float = 0.7) -> Floats:
    """What the graph does, again."""
    odds = np.log(turned_limit / (1 - turned_limit)) + 10 * (1 - share / limit)
    without = rows[:, 1] / (1 + np.exp(-odds))
    made = np.concatenate([rows, without[:, None]], 1)
    made[:, 1] -= without
    return made


def emptier_half(logits: Floats) -> Floats:
    masks = 1 / (1 + np.exp(-SHARPNESS * logits.astype(np.float64)))
    half = masks.shape[-1] // 2
    emptier: Floats = np.minimum(masks[..., :half].mean((-1, -2)), masks[..., masks.shape[-1] - half :].mean((-1, -2)))
    return emptier


@given(st.integers(0, 10_000), st.sampled_from([0.02, 0.05, 0.2]), st.integers(4, 9))
@settings(max_examples=30)
def test_upright_is_parted_by_the_emptier_half(seed: int, limit: float, columns: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(-1, 1, (6, 1, 5, columns)).astype(np.float32)
    rows = np.concatenate([random.uniform(0, 2, (6, 1)), random.dirichlet(np.full(7, 0.3), 6)], 1).astype(np.float32)
    made = TwoLungs(limit, 0.7)(torch.from_numpy(rows), torch.from_numpy(logits)).numpy()
    share = emptier_half(logits)[:, 0]
    np.testing.assert_allclose(made, parted(rows, share, limit), atol=1e-5)
    np.testing.assert_array_equal(made[:, [0, *range(2, 8)]], rows[:, [0, *range(2, 8)]])
    upright = np.tile(np.array([0.5, 1, 0, 0, 0, 0, 0, 0], np.float32), (6, 1))
    judged = TwoLungs(limit, 0.7)(torch.from_numpy(upright), torch.from_numpy(logits)).numpy()
    for row, found in zip(judged, share, strict=True):
        if abs(found / limit - 1) > 1e-4:
            assert verdict(film(), row, CARD).passed == (found > limit), "by this alone the limit is the limit"


def test_a_lung_covered_or_cut_off_is_missed() -> None:
    """As the model in the box finds lungs in phantoms."""
    model, two_lungs = hilum.load("default"), TwoLungs(0.05, 0.7)
    whole = draw_phantom(3, "normal", 128).pixels / np.float32(255)
    white, cut = whole.copy(), whole.copy()
    white[:, : whole.shape[1] // 2] = 1
    cut[:, whole.shape[1] // 2 :] = 0
    reasons = []
    for pixels in (whole, whole[:, ::-1], white, cut):
        answer = model.predict(np.ascontiguousarray(pixels), hilum.Asked(gate=False))
        assert isinstance(answer, hilum.Answered) and answer.lungs is not None
        mask = np.clip(answer.lungs / 255, 1e-4, 1 - 1e-4)
        logits = torch.from_numpy(np.log(mask / (1 - mask)) / SHARPNESS)[None, None].float()
        row = two_lungs(torch.tensor([[0.4, 0.96, *[0.01] * 4, 0, 0]]), logits).numpy()[0]
        found = verdict(film(), row, CARD)
        reasons.append(found.reason)
        if found.reason:
            assert found.detail == "no two lungs were found; give one whole upright frontal chest film"
    assert reasons == [None, None, "no_two_lungs", "no_two_lungs"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([0.4, 0.2, 0, 0, 0, 0, 0.1, 0, 0.7], "no_two_lungs"),
        ([1.4, 0.2, 0, 0, 0, 0, 0, 0, 0.8], "no_two_lungs"),
        ([1.4, 0.6, 0, 0, 0, 0, 0, 0, 0.4], "not_a_chest_film"),
        # What the gate knew before comes first.
        ([1.4, 0.0, 0, 0, 0, 0.99, 0, 0, 0.01], "inverted"),
        ([1.4, 0.0, 0, 0, 0, 0, 0.6, 0, 0.4], "not_a_chest_film"),
        ([0.4, 0.4, 0, 0, 0, 0, 0, 0, 0.6], None),
    ],
)
def test_it_has_a_reason_of_its_own(row: list[float], reason: str | None) -> None:
    assert verdict(film(), np.array(row, np.float32), CARD).reason == reason


def test_the_browser_says_what_python_says(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    random = np.random.default_rng(3)
    cards = [replace(CARD, states=ALL[:count]) for count in (6, 7, 8)]
    cases = []
    for place in range(300):
        card = cards[place % 3]
        states = random.dirichlet(np.full(len(card.states), random.choice([0.02, 0.3])))
        cases.append((np.array([random.uniform(0, 1.4), *states], np.float32), card))
    given = [{"row": row.tolist(), "card": {"turned_limit": 0.7, "states": card.states}} for row, card in cases]
    (tmp_path / "cases.json").write_text(json.dumps(given))
    page = Path(hilum.__file__).parent / "service" / "page"
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copytree(page / "bundle", tmp_path / "bundle")
    shutil.copytree(page / "radiograph", tmp_path / "radiograph")
    (tmp_path / "say.mjs").write_text(
        'import { readFileSync } from "node:fs";\n'
        'import { gateVerdict } from "./bundle/gate.js";\n'
        "const film = { fullHeight: 80, fullWidth: 80, colorfulness: 0, values: [0, 1], table: [0, 1] };\n"
        'const cases = JSON.parse(readFileSync("cases.json", "utf8"));\n'
        "const said = ({ row, card }) => gateVerdict(film, Float32Array.from(row), card);\n"
        "console.log(JSON.stringify(cases.map(said)));\n"
    )
    done = subprocess.run([node, "say.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)
    expected = [verdict(film(), row, card) for row, card in cases]
    for said, found in zip(json.loads(done.stdout), expected, strict=True):
        assert (said["passed"], said["reason"], said["detail"]) == (found.passed, found.reason, found.detail)
    assert {found.reason for found in expected} >= {"no_two_lungs", "not_a_chest_film", "rotated", "lateral", None}


def shown_of_gate(card: Card) -> dict[str, str]:
    (gate,) = (section for section in sections(card, 0, "") if section.title == "Gate")
    return {name: what for name, what in gate.rows}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom_manifest(tmp_path_factory.mktemp("two lungs") / "films")


@pytest.fixture(scope="module")
def run(manifest: Path) -> Run:
    """Its network finds lungs somewhere."""
    made = make_run(manifest.parent.parent / "run", manifest, "timm/test_efficientnet", 64, lungs={"size": 0})
    state = read_state(made.best, torch.device("cpu"))
    chance = torch.Generator().manual_seed(1)
    for name, tensor in state["network"].items():
        if name.startswith("masks."):
            state["network"][name] = torch.randn(tensor.shape, generator=chance) * 0.2
    write_state(made.best, state)
    return made


@pytest.fixture(scope="module")
def asking(run: Run) -> Path:
    out = run.folder / "asking.onnx"
    export_run(run, out, ExportOptions(two_lungs=True))
    return out


@pytest.fixture(scope="module")
def plain(run: Run) -> Path:
    out = run.folder / "plain.onnx"
    export_run(run, out)
    return out


def rows_of(bundle: Path | bytes, films: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = ort.InferenceSession(bundle, providers=["CPUExecutionProvider"])
    (rows,) = session.run(["gate"], {"films": films[:, None]})
    return np.asarray(rows)


def test_the_file_asks_for_two_lungs_as_numpy_does(run: Run, asking: Path, plain: Path) -> None:
    material = open_material(run, lambda *told: None)
    films = material.store.pixels[material.val.rows]
    network, _ = best_network(run, material.recipe)
    with torch.no_grad():
        logits = network(torch.from_numpy(films[:, None]).float() / 255).masks
    assert logits is not None
    share = emptier_half(logits.numpy())[:, 0]
    np.testing.assert_allclose(shares_of_lung(network, films), share, atol=1e-5)
    gate = read_card(asking).gate
    assert gate is not None and gate.states == ALL and gate.two_lungs is not None
    asked = gate.two_lungs
    assert np.ptp(share) > asked.limit / 10, "films must differ"
    np.testing.assert_allclose(rows_of(asking, films), parted(rows_of(plain, films), share, asked.limit), atol=2e-3)
    sick = is_positive(material.val, [1, 2])
    assert asked.films == {"pneumonia": int(sick.sum()), "others": int((~sick).sum())}
    for name, kind in (("pneumonia", sick), ("others", ~sick)):
        assert asked.turned_away[name] == pytest.approx((share[kind] < asked.limit).mean(), abs=0.02)
    shown = shown_of_gate(read_card(asking))
    assert f"left or right half is lung to less than {asked.limit:.1%}" in shown["two lungs"]
    assert read_card(plain).gate == replace(gate, states=ALL[:7], two_lungs=None)


def test_a_limit_for_ones_own_films_leaves_the_question_as_it_is(asking: Path) -> None:
    films = np.random.default_rng(1).integers(0, 256, (3, 64, 64), np.uint8)
    before = rows_of(asking, films)
    after = rows_of(write_numbers(asking.read_bytes(), {"gate.limit": 2.0}), films)
    np.testing.assert_allclose(after[:, 0] * 2, before[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(after[:, 1:], before[:, 1:])


def test_an_ensemble_keeps_the_question_of_a_parent(manifest: Path, asking: Path, plain: Path, tmp_path: Path) -> None:
    made = ensemble([asking, plain], tmp_path / "both.onnx", val=manifest)
    films = np.random.default_rng(2).integers(0, 256, (4, 64, 64), np.uint8)
    own = [rows_of(asking, films), np.pad(rows_of(plain, films), ((0, 0), (0, 1)))]
    assert made.card.gate is not None and made.card.gate.states == ALL and made.card.gate.two_lungs is None
    for place, row in enumerate(rows_of(tmp_path / "both.onnx", films)):
        assert any(np.allclose(row, parent[place], atol=1e-4) for parent in own)
    assert "no two of them, by the limits of its parents" in shown_of_gate(made.card)["two lungs"]


def test_a_network_that_another_tells_where_lungs_are_is_asked_by_that_ones_mask() -> None:
    network = lively(lungs=True)
    assert lung_head(network) is network.film.body.finder.head
    films = np.random.default_rng(5).integers(0, 256, (24, SIDE, SIDE), np.uint8)
    asked, card = learn_two_lungs(
        network, replace(CARD, states=ALL[:7]), {"pneumonia": films[:9], "others": films[9:]}, 1, lambda *told: None
    )
    own = network.film.body.finder
    with torch.no_grad():
        grey = torch.from_numpy(films)[:, None].float() / 255
        _, taps = own.body.maps_and_taps(own.normalization(own.resample(grey)))
        logits = own.head(own.body.select(taps, (4, 8, 16, 32)))
    np.testing.assert_allclose(shares_of_lung(network, films), emptier_half(logits.numpy())[:, 0], atol=0.02)
    assert card.two_lungs is not None and card.states == ALL
    assert asked.slope == pytest.approx(10 / card.two_lungs.limit)


def test_the_limit_leaves_the_sick_their_films(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the lower of both groups', so that a few white lungs among many normal films do not vanish in the mass."""
    least = iter([0.2, 0.3, 0.01, 0.25])  # in the order of looks: both groups as they are, then both varied
    monkeypatch.setattr(
        "hilum.export.gate.two_lungs.shares_of_lung",
        lambda network, films: np.linspace(next(least), 0.4, len(films)),
    )
    groups = {name: np.zeros((16, 32, 32), np.uint8) for name in ("pneumonia", "others")}
    _, card = learn_two_lungs(lively(lungs=False), replace(CARD, states=ALL[:7]), groups, 1, lambda *told: None)
    assert card.two_lungs is not None and card.two_lungs.limit == pytest.approx(0.01)
    assert card.two_lungs.turned_away == {"pneumonia": 0, "others": 0}


def test_who_finds_no_lungs_cannot_be_asked(manifest: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", manifest, "small_cnn1", 32, steps=0)
    ended = command("export", run.folder, "-o", tmp_path / "model.onnx", "--two-lungs")
    assert ended.returncode != 0 and not (tmp_path / "model.onnx").exists()
    assert "its network finds no lungs" in ended.stderr and "--two-lungs" in ended.stderr
    assert "Traceback" not in ended.stderr and "decoding" not in ended.stderr


@pytest.mark.parametrize("states", [[*STATES, NO_TWO_LUNGS], [*ALL, "more"]])
def test_states_in_another_order_are_refused(states: list[str]) -> None:
    with pytest.raises(BundleError, match="states that this hilum does not"):
        GateCard(0.01, 0.7, 10, "", states, two_lungs=TwoLungsCard(0.1, {}, {}))
