"""A network that looks twice: lungs found, blackened around and looked at; what each film teaches, and what not."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from hilum.dataset.store.store import Store
from hilum.export.material import whole_films
from hilum.network.heads.lungs import Blackened, believed
from hilum.network.heads.opacity import highest
from hilum.network.heads.pyramid import Pyramid
from hilum.network.heads.resample import Resample
from hilum.network.network import Heads, Network, Seen, create_network
from hilum.training.curves import NAMES, draw_curves
from hilum.training.feed.examples import Examples, Facts
from hilum.training.feed.feed import Course, Feed, Shown
from hilum.training.feed.masks import lung_masks
from hilum.training.fit import Interrupted, fit, judge
from hilum.training.observer import Event, Step
from hilum.training.prepare import Prepared, network_of
from hilum.training.processes import Processes
from hilum.training.recipe import Recipe, RecipeError, recipe_from
from hilum.training.recipe.recipe import Metric
from hilum.training.run import Run, create_run
from hilum.training.task.place_loss import coverage
from hilum.training.task.task import Task
from hilum.training.variation.augment import Augmentation, draw, matrices
from hilum.training.variation.sampler_cpu import sample

CPU = torch.device("cpu")
SIDE, FILMS = 64, 24
HEADS = Heads(Pyramid(16, 2, width=16, depth=1), opacity=True, lungs=32, group=True)


def network(seed: int = 1) -> Network:
    return create_network("timm/test_efficientnet", 3, "none", heads=HEADS, input_size=(SIDE, SIDE), seed=seed).eval()


def seen_of(whole: list[bool]) -> Seen:
    there = torch.tensor(whole)
    masks = torch.zeros(len(whole), 1, SIDE // 4, SIDE // 4)
    masks[:, :, 4:12, 3:13] = 1
    return Seen(there, masks, ~there, torch.ones_like(there))


@pytest.mark.parametrize(("before", "after"), [((64, 48), (32, 32)), ((256, 256), (160, 160)), ((16, 16), (40, 40))])
def test_resampling_is_torchs_antialiased(before: tuple[int, int], after: tuple[int, int]) -> None:
    films = torch.rand(2, 1, *before, generator=torch.Generator().manual_seed(0))
    expected = functional.interpolate(films, after, mode="bilinear", antialias=True)
    torch.testing.assert_close(Resample(before, after)(films), expected, atol=1e-5, rtol=1e-4)


def test_what_is_no_lung_is_black() -> None:
    films = torch.ones(1, 1, SIDE, SIDE)
    looked = Blackened((SIDE, SIDE), 32)(films, seen_of([True]).masks)[0, 0]
    assert looked[12:20, 12:20].min() > 0.99
    assert looked[:3].max() == looked[-3:].max() == looked[:, -1:].max() == 0


@pytest.mark.parametrize("level", [-20.0, 20.0])
def test_a_mask_that_no_lungs_look_like_is_not_believed(level: float) -> None:
    logits = torch.full((1, 1, 16, 16), level)
    assert believed(logits).min() == 1
    logits[:, :, :, :8] = -level
    assert believed(logits).min() < 1e-6


def test_films_of_a_batch_do_not_disturb_each_other() -> None:
    """A whole film's answers are the same beside one that shows its lungs alone, which the first view does not see."""
    model, films = network(), torch.rand(3, 1, SIDE, SIDE)
    with torch.no_grad():
        alone, mixed = model(films[:1]), model(films, seen_of([True, False, False]))
    torch.testing.assert_close(mixed.film[:1], alone.film, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mixed.boxes.scores[:1], alone.boxes.scores, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mixed.lungs.film[:1], alone.lungs.film, atol=1e-5, rtol=1e-4)
    assert not mixed.film[1:].any() and not mixed.masks[1:].any()
    assert mixed.lungs.film.any(1).all()


def test_the_group_is_read_and_never_taught() -> None:
    model = network().train()
    model(torch.rand(2, 1, SIDE, SIDE)).group.sum().backward()
    assert model.group is not None and model.group.weight.grad is not None
    assert all(parameter.grad is None for parameter in model.film.body.parameters())


def test_weights_of_one_view_begin_both(tmp_path: Path) -> None:
    one = create_network("timm/test_efficientnet", 3, "none", seed=5)
    torch.save(one.film.body.get_submodule("net").state_dict(), tmp_path / "body.pth")
    both = create_network("timm/test_efficientnet", 3, tmp_path / "body.pth", heads=HEADS, input_size=(SIDE, SIDE))
    stem = one.film.body.state_dict()["net.conv_stem.weight"]
    assert both.lungs is not None
    assert torch.equal(both.film.body.state_dict()["net.conv_stem.weight"], stem)
    assert torch.equal(both.lungs.body.state_dict()["net.conv_stem.weight"], stem)
    assert both.origin == "body.pth, new head, opacity, boxes, masks, lungs and group"


corner = st.floats(0, 0.9)


@given(st.lists(st.tuples(corner, corner, corner, corner), max_size=4))
def test_coverage_is_the_share_of_each_place(boxes: list[tuple[float, ...]]) -> None:
    corners = np.array([[x, y, min(x + w + 0.02, 1), min(y + h + 0.02, 1)] for x, y, w, h in boxes]).reshape(-1, 4)
    fine = np.zeros((16, 16), np.float32)
    for row in range(16):
        for column in range(16):
            x, y = np.float32((column + 0.5) / 16), np.float32((row + 0.5) / 16)
            low, high = corners[:, :2].astype(np.float32), corners[:, 2:].astype(np.float32)
            fine[row, column] = bool(((low[:, 0] <= x) & (x < high[:, 0]) & (low[:, 1] <= y) & (y < high[:, 1])).any())
    expected = fine.reshape(4, 4, 4, 4).mean((1, 3))
    there = torch.ones(1, len(corners), dtype=torch.bool)
    found = coverage(torch.from_numpy(corners).float()[None], there, 4, 4)[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_the_highest_places_are_the_score_of_a_film() -> None:
    maps = torch.arange(100.0).reshape(1, 1, 10, 10)
    assert highest(maps).item() == 98  # of 97, 98 and 99


def test_masks_go_where_their_films_go() -> None:
    films = np.zeros((1, 128, 128), np.uint8)
    cv2.ellipse(films[0], (44, 64), (18, 40), 0, 0, 360, 180, -1)
    cv2.ellipse(films[0], (88, 60), (18, 40), 0, 0, 360, 120, -1)
    described = Augmentation(flip_horizontal=0.5, rotation=20, area=(0.5, 1.0), translation=0.1)
    for epoch in range(6):
        draws = draw(described, (128, 128), 1, epoch, np.array([0]))
        maps = matrices(draws, (128, 128))
        moved = sample(films, np.array([0]), maps, draws, (128, 128), threads=1)[0]
        expected = cv2.resize((moved > 10).astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA)
        assert np.abs(lung_masks(films, np.array([0]), maps)[0, 0] - expected).mean() < 0.02
    assert not lung_masks(films, np.array([-1]), None).any()


def recipe(**training: Any) -> Recipe:
    return recipe_from(
        {
            "classes": {"normal": ["normal"], "other": ["other"], "opacity": ["lung_opacity"]},
            "network": {"name": "timm/test_efficientnet", "weights": "none"},
            "input": {"height": SIDE, "width": SIDE},
            "detector": {"width": 16, "depth": 1, "levels": 2, "ratios": [1.0, 1.2, 1.5]},
            "opacity": {},
            "lungs": {"size": 32},
            "group": {},
            "augmentation": {"flip_horizontal": 0.5, "rotation": 5},
            "optimizer": {"name": "adam", "learning_rate": 3e-3},
            "phases": [{"epochs": 2}],
            "training": {"batch_size": 8, "mixture": {"whole": 0.6, "rsna-lungs": 0.4}, "epoch_films": 40, **training},
            "selection": {"metric": "joined"},
        }
    )


def films() -> tuple[Any, Examples]:
    """Two bright lungs on grey; an opacity in one of them. Every second film is the one before it, blackened."""
    random = np.random.default_rng(3)
    pixels = np.zeros((FILMS, SIDE, SIDE), np.uint8)
    boxes: list[Any] = []
    for number in range(0, FILMS, 2):
        lungs = np.zeros((SIDE, SIDE), np.uint8)
        for center in (18, 46):
            cv2.ellipse(lungs, (center, 32), (10, 22), 0, 0, 360, 1, -1)
        film = random.integers(40, 90, (SIDE, SIDE)).astype(np.uint8)
        found = np.empty((0, 4))
        if number % 6 == 4:
            film[24:40, 38:54] += 120
            found = np.array([[38, 24, 54, 40]], np.float64)
        pixels[number], pixels[number + 1] = film, film * lungs
        boxes += [found, found]
    targets = np.repeat(np.arange(FILMS // 2) % 3, 2)
    alone = np.arange(FILMS) % 2 == 1
    facts = Facts(
        ["rsna-lungs" if only else "whole" for only in alone],
        [("normal", "other", "lung_opacity")[target] for target in targets],
        alone,
        np.arange(FILMS) // 2 * 2 + 1,
        np.where(np.arange(FILMS) % 4 == 0, 0, 1).astype(np.int8),
        (targets == 2).astype(np.int8),
    )
    return pixels, Examples(np.arange(FILMS), targets, [""] * FILMS, FILMS // 2, None, boxes, facts)


def train(folder: Path, stop_at: int = 0) -> tuple[str, list[dict[str, float]]]:
    from hilum.training.feed.mixture import mix_sources

    torch.set_num_threads(1)
    wanted = recipe()
    pixels, examples = films()
    assert examples.facts is not None
    task = Task(network_of(wanted), wanted, examples, CPU)
    mixture = mix_sources(wanted.training.mixture, 40, examples.facts.sources, examples.facts.labels)
    feed = Feed(Shown(pixels, examples, wanted.augmentation), 8, CPU, Course(seed=1, mixture=mixture))
    val = Feed(Shown(pixels, examples, wanted.augmentation), 16, CPU)
    run = Run(folder) if folder.exists() else create_run(folder, wanted, {})
    steps: list[Event] = []

    def watch(event: Event) -> None:
        if isinstance(event, Step):
            steps.append(event)

    prepared = Prepared(task, feed, val, Store(pixels, wanted.input.to_geometry(), folder, (), {}), {})
    history = fit(run, prepared, Processes(), observer=watch, asked_to_stop=lambda: len(steps) == stop_at)
    digest = hashlib.sha256()
    for tensor in task.network.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest(), history


def test_stopped_in_an_epoch_it_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole, history = train(tmp_path / "whole")
    assert history[-1].keys() >= {"joined", "auc_whole", "auc_rsna-lungs", "ap50", "auc"}
    draw_curves(history, recipe(), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000
    with pytest.raises(Interrupted):
        train(tmp_path / "stopped", stop_at=3)
    assert train(tmp_path / "stopped")[0] == whole


def test_boxes_are_judged_on_whole_films_alone() -> None:
    """Films that show their lungs alone have no say in what validation tells of boxes."""
    wanted = recipe()
    pixels, examples = films()
    assert examples.facts is not None
    task = Task(network_of(wanted), wanted, examples, CPU)
    kept = [row for row, alone in enumerate(examples.facts.lungs_only) if not alone]
    known: Any = examples.facts
    facts = Facts._make([*([part[row] for row in kept] for part in known[:2]), *(part[kept] for part in known[2:])])
    assert examples.boxes is not None
    whole = replace(
        examples,
        rows=examples.rows[kept],
        targets=examples.targets[kept],
        paths=[examples.paths[row] for row in kept],
        boxes=[examples.boxes[row] for row in kept],
        facts=facts,
    )
    of_all, of_whole = (
        judge(
            task,
            task.network,
            Feed(Shown(pixels, some, wanted.augmentation), batch, CPU),
            torch.contiguous_format,
            None,
        )
        for some, batch in ((examples, 16), (whole, 8))
    )
    for figure in ("loss", "ap50", "rsna_score", "auc"):
        assert of_all[figure] == pytest.approx(of_whole[figure], rel=1e-4), figure


def test_what_a_film_does_not_know_teaches_nothing() -> None:
    """A film that shows its lungs alone leaves the view of whole films as it is; unknown boxes leave the maps so."""
    wanted = recipe()
    pixels, examples = films()
    task = Task(network_of(wanted), wanted, examples, CPU)
    batch = next(iter(Feed(Shown(pixels, examples, wanted.augmentation), FILMS, CPU, Course(1)).batches(0)))
    assert batch.seen is not None and batch.boxes is not None and batch.adult is not None
    alone = batch.seen._replace(whole=torch.zeros_like(batch.seen.whole))
    outputs = task.network.train().training_outputs(batch.films, batch.seen)
    task._loss_of_views(outputs, batch.targets, batch.boxes, alone, batch.adult).backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in task.network.film.parameters())
    task.network.zero_grad()
    unknown = batch.boxes._replace(known=torch.zeros_like(batch.boxes.known))
    outputs = task.network.training_outputs(batch.films, batch.seen)
    task._loss_of_views(outputs, batch.targets, unknown, batch.seen, batch.adult).backward()  # type: ignore[no-untyped-call]
    for head in (task.network.boxes, task.network.film.opacity):
        assert head is not None
        assert all(parameter.grad is None or not parameter.grad.any() for parameter in head.parameters())


def test_a_bundle_is_made_on_whole_films_alone() -> None:
    _, examples = films()
    kept = whole_films(examples)
    assert len(kept) == FILMS // 2 and not (kept.rows % 2).any()
    assert kept.boxes is not None and len(kept.boxes) == len(kept.targets) == len(kept)


def test_every_metric_has_a_name_on_the_curves() -> None:
    assert set(get_args(Metric)) == set(NAMES)


def test_settings_that_do_not_go_together_are_told() -> None:
    with pytest.raises(RecipeError, match="goes with"):
        recipe_from({"training": {"mixture": {"kermany": 1.0}}})
    with pytest.raises(RecipeError, match="metric = joined"):
        recipe_from({"selection": {"metric": "joined"}})
