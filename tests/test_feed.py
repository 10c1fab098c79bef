"""Every feed gives the batches that follow from (seed, epoch, film), wherever it is taken up; none leaves threads."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import PATIENCE
from films import dicom
from PIL import Image

from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.phantom.film import draw_phantom
from hilum.dataset.store.store import StoreError, build_store
from hilum.radiograph.geometry import Geometry
from hilum.training.feed.dali import DaliFeed
from hilum.training.feed.examples import Examples, File, Originals, choose_examples, originals
from hilum.training.feed.feed import Batch, Course, Feed, Shown
from hilum.training.feed.torchvision import TorchvisionFeed, transforms
from hilum.training.recipe import BINARY, RecipeError
from hilum.training.variation import sampler_cpu
from hilum.training.variation.augment import Augmentation, draw, matrices

CPU = torch.device("cpu")
VARIED = Augmentation(flip_horizontal=0.5, rotation=20, area=(0.4, 1.0), ratio=(0.5, 1.5), brightness=0.2, noise=0.02)
FILMS, SIDE = 22, 64
needs_dali = pytest.mark.skipif(
    importlib.util.find_spec("nvidia") is None or importlib.util.find_spec("nvidia.dali") is None,
    reason="NVIDIA DALI is not installed",
)
Make = Callable[..., Feed]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Films of several sizes, JPEG and PNG, in class folders."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(FILMS):
        film = Image.fromarray(draw_phantom(number, "viral", 96 + 8 * (number % 5)).pixels)
        path = folder / ("PNEUMONIA" if number % 2 else "NORMAL") / f"{number}.{'png' if number % 3 else 'jpeg'}"
        path.parent.mkdir(exist_ok=True)
        film.save(path)
    return import_folder(folder, "folder")[0]


@pytest.fixture(scope="module", params=["store", "torchvision", pytest.param("dali", marks=needs_dali)])
def make(request: pytest.FixtureRequest, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Make:
    geometry = Geometry("crop", SIDE, SIDE)
    store = build_store(manifest, geometry, tmp_path_factory.mktemp("stores"), processes=1)
    table = manifest.table.with_columns(split=np.full(FILMS, "train"))
    examples = choose_examples(Manifest(table, manifest.folder), store, BINARY, ["train"])

    @cache  # a DataLoader's workers take a while to start
    def made(augmentation: Augmentation, **options: Any) -> Feed:
        shown, batch_size = Shown(store.pixels, examples, augmentation), options.pop("batch_size", 4)
        if request.param == "store":
            return Feed(shown, batch_size, CPU, Course(**options))
        kind = {"torchvision": TorchvisionFeed, "dali": DaliFeed}[request.param]
        return kind(originals(manifest, examples, geometry, request.param), shown, batch_size, CPU, Course(**options))

    return made


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def same(ours: Batch, theirs: Batch) -> bool:
    return (
        torch.equal(ours.films, theirs.films)
        and torch.equal(ours.targets, theirs.targets)
        and np.array_equal(ours.examples, theirs.examples)
    )


def test_taken_up_anywhere_the_batches_are_the_same(make: Make) -> None:
    whole = list(make(VARIED, seed=3).batches(2))
    assert [len(batch.films) for batch in whole] == [4, 4, 4, 4, 4, 2]
    assert sorted(np.concatenate([batch.examples for batch in whole])) == list(range(FILMS))
    feed = make(VARIED, seed=3)
    for start in (1, 4, 0, 5):  # one feed, for an epoch that is begun again
        rest = list(feed.batches(2, start))
        assert len(rest) == len(whole) - start
        assert all(same(a, b) for a, b in zip(rest, whole[start:], strict=True))
    assert list(feed.batches(2, 6)) == []


def test_seeds_and_epochs_differ_and_batch_sizes_do_not_matter(make: Make) -> None:
    def films(feed: Feed, epoch: int) -> torch.Tensor:
        batches = list(feed.batches(epoch))
        return torch.cat([batch.films for batch in batches])[np.argsort(np.concatenate([b.examples for b in batches]))]

    first = films(make(VARIED, seed=3), 0)
    assert torch.equal(films(make(VARIED, seed=3, batch_size=9), 0), first)
    for other in (films(make(VARIED, seed=3), 1), films(make(VARIED, seed=4), 0)):
        assert (other - first).abs().mean((1, 2, 3)).min() > 0.003


def test_films_are_floats_from_black_to_white_with_their_targets(make: Make) -> None:
    feed = make(VARIED, seed=3)
    for batch in feed.batches(0):
        assert batch.films.shape[1:] == (1, SIDE, SIDE) and batch.films.dtype == torch.float32
        assert batch.films.min() >= 0 and 0.4 < batch.films.max() <= 1
        assert batch.targets.tolist() == feed.examples.targets[batch.examples].tolist()


def test_without_variation_all_feeds_show_the_store(make: Make) -> None:
    feed = make(Augmentation())
    stored = torch.from_numpy(feed.pixels[feed.examples.rows]).float()[:, None] / 255
    assert torch.allclose(torch.cat([batch.films for batch in feed.in_order()]), stored, atol=1e-6)
    for batch in feed.batches(0):
        # The store decodes a JPEG at a smaller size where it may, and DALI scales with a filter of its own.
        apart = (batch.films - stored[batch.examples]).abs()
        assert apart.mean() < 0.006 and apart.max() < 0.2
        assert batch.films.mean().item() == pytest.approx(stored[batch.examples].mean().item(), abs=0.002)


def test_batches_stay_as_they_are_while_later_ones_are_made(make: Make) -> None:
    feed = make(VARIED, seed=3)
    kept = [(batch, batch.films[:, :, ::2].clone()) for batch in feed.batches(0)]
    views = [batch.films[1:] for batch in feed.batches(1)]  # the batches are gone, but something looks at their films
    later = [view.clone() for view in views]
    for _ in feed.batches(2):
        pass
    assert all(torch.equal(batch.films[:, :, ::2], before) for batch, before in kept)
    assert all(torch.equal(view, before) for view, before in zip(views, later, strict=True))


def test_leaving_early_or_late_leaves_no_thread(make: Make) -> None:
    feed = make(VARIED, seed=3)
    before = set(threading.enumerate())
    for _ in feed.batches(0):
        break
    for _ in feed.in_order():
        break
    list(feed.batches(1))
    left = set(threading.enumerate()) - before
    # A DataLoader's workers stay for the next epoch, and with them the threads that write to their queues.
    assert not left or (isinstance(feed, TorchvisionFeed) and all(thread.daemon for thread in left))


def store_feed(augmentation: Augmentation, batch_size: int = 4, **share: Any) -> Feed:
    pixels = np.random.default_rng(0).integers(0, 256, (10, SIDE, SIDE), np.uint8)
    examples = Examples(np.arange(10), np.arange(10), [""] * 10, 10)
    return Feed(Shown(pixels, examples, augmentation), batch_size, CPU, Course(seed=5, **share))


def test_processes_share_a_batch() -> None:
    whole = list(store_feed(VARIED, 9).batches(1))
    parts = [list(store_feed(VARIED, 9, part=part, parts=3).batches(1)) for part in range(3)]
    for batch, *shares in zip(whole, *parts, strict=True):
        for part, share in enumerate(shares):
            assert np.array_equal(share.examples, batch.examples[part::3])
            assert torch.equal(share.films[: len(share.examples)], batch.films[part::3])
    # The last batch has one film: two processes show a film that does not count.
    shown = [(len(batches[-1].films), len(batches[-1].targets), len(batches[-1].examples)) for batches in parts]
    assert shown == [(1, 1, 1), (1, 1, 0), (1, 1, 0)]


def test_made_ahead_or_one_by_one_batches_are_the_same() -> None:
    feed = store_feed(VARIED)
    for share, batch in zip(feed.plan(1, 0), feed.batches(1), strict=True):
        draws = draw(VARIED, (SIDE, SIDE), 5, 1, share.shown)
        rows, where = share.shown, matrices(draws, (SIDE, SIDE))
        levels = sampler_cpu.sample(feed.pixels, rows, where, draws, (SIDE, SIDE), threads=1)
        assert torch.equal(batch.films[:, 0], torch.from_numpy(levels).float().mul_(1 / 255))


def test_the_next_batch_is_made_while_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = store_feed(VARIED)
    made = threading.Event()
    sample, calls = feed._sample, 0

    def noted(*given: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        films = sample(*given)
        if calls == 2:
            made.set()
        return films

    monkeypatch.setattr(feed, "_sample", noted)
    next(feed.batches(0))
    assert made.wait(PATIENCE)


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_is_asked_for() -> None:
    feed = store_feed(Augmentation())
    feed.examples.rows[feed.order(0)[5]] = 99  # the second batch looks past the store's end
    before = threading.active_count()
    batches = feed.batches(0)
    assert len(next(batches).films) == 4
    with pytest.raises(IndexError):
        next(batches)
    assert threading.active_count() == before


def test_memory_is_used_again() -> None:
    feed = store_feed(VARIED, batch_size=2)
    places = {batch.films.data_ptr() for epoch in range(4) for batch in feed.batches(epoch)}
    assert len(places) <= 3


def test_torchvision_draws_what_the_recipe_says() -> None:
    """A white film shows which transforms are in the list: what each of them changes, and what all leave as it is."""
    white = Image.new("L", (SIDE, SIDE), 255)

    def shown(**values: Any) -> torch.Tensor:
        torch.manual_seed(1)
        film: torch.Tensor = transforms(Augmentation(**values), (SIDE, SIDE))(white)
        return film[0]

    unchanged: list[dict[str, Any]] = [
        {},
        {"flip_horizontal": 1.0, "flip_vertical": 1.0},
        {"area": (0.4, 0.5), "ratio": (0.5, 1.5)},
        {"rotation": 45, "fill": 255},
    ]
    for values in unchanged:
        assert torch.all(shown(**values) == 1), values
    assert shown(rotation=45)[0, 0] == 0
    assert (shown(translation=0.4) == 0).any(dim=1).all() or (shown(translation=0.4) == 0).any(dim=0).all()
    assert 0 < (shown(zoom=(0.5, 0.6)) > 0.5).float().mean() < 0.4
    assert shown(brightness=0.5).std() == 0
    assert shown(noise=0.1).std() > 0.02
    assert (shown(erase=1.0) == 0).any()


@pytest.mark.parametrize("values", [{"gamma": (0.5, 2.0)}, {"fill": "edge"}, {"fill": "reflect"}])
def test_what_torchvision_cannot_do_is_refused_in_one_line(values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"^training.feed = torchvision: .*augmentation\.(gamma|fill)"):
        transforms(Augmentation(**values), (SIDE, SIDE))


@pytest.mark.parametrize("name", ["torchvision", "dali"])
def test_files_that_are_no_plain_pictures_are_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "films" / "NORMAL").mkdir(parents=True)
    (tmp_path / "films" / "NORMAL" / "a.dcm").write_bytes(dicom(np.full((64, 64), 900, np.uint16)))
    manifest = import_folder(tmp_path / "films", "folder")[0]
    examples = Examples(np.zeros(1, np.int64), np.zeros(1, np.int64), manifest.table["path"].to_list(), 1)
    with pytest.raises(RecipeError, match=rf"a\.dcm: dicom.*training\.feed = {name} decodes JPEG and PNG"):
        originals(manifest, examples, Geometry("squash", SIDE, SIDE), name)


def test_a_file_that_is_gone_ends_an_epoch_in_one_line(tmp_path: Path) -> None:
    examples = Examples(np.arange(2), np.zeros(2, np.int64), ["gone.png", "too.png"], 2)
    files = [File(tmp_path / path, 100, 100) for path in examples.paths]
    geometry, pixels = Geometry("squash", SIDE, SIDE), np.zeros((2, SIDE, SIDE), np.uint8)
    feed = TorchvisionFeed(Originals(files, geometry), Shown(pixels, examples, Augmentation()), 2, CPU)
    with pytest.raises(StoreError, match=r"^\S*(gone|too)\.png: No such file or directory; put it back[^\n]*$"):
        list(feed.batches(0))


def test_without_dali_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    examples = Examples(np.arange(1), np.zeros(1, np.int64), [""], 1)
    with pytest.raises(RecipeError, match=r"NVIDIA DALI is not installed; pip install '.*\[dali\]'"):
        shown = Shown(np.zeros((1, SIDE, SIDE), np.uint8), examples, Augmentation())
        DaliFeed(Originals([], Geometry("crop", SIDE, SIDE)), shown, 1, CPU)


@needs_dali
@pytest.mark.parametrize(
    "augmentation",
    [VARIED, Augmentation(rotation=30, fill="edge", contrast=0.3, erase=0.5), Augmentation(translation=0.2, fill=40)],
)
def test_dali_shows_what_the_store_shows(tmp_path: Path, augmentation: Augmentation) -> None:
    """Of files that have the store's size already, so that nothing but the variation is compared."""
    for number in range(6):
        path = tmp_path / "films" / "NORMAL" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_phantom(number, "viral", 128).pixels).resize((SIDE, SIDE)).save(path)
    manifest, geometry = import_folder(tmp_path / "films", "folder")[0], Geometry("squash", SIDE, SIDE)
    store = build_store(manifest, geometry, tmp_path / "stores", processes=1)
    digests, paths = manifest.table["file_digest"].to_list(), manifest.table["path"].to_list()
    examples = Examples(store.rows(digests), np.zeros(6, np.int64), paths, 6)
    given = (Shown(store.pixels, examples, augmentation), 4, CPU)
    ours, theirs = Feed(*given), DaliFeed(originals(manifest, examples, geometry, "dali"), *given)
    for stored, decoded in zip(ours.batches(0), theirs.batches(0), strict=True):
        apart = (stored.films - decoded.films).abs() * 255
        assert apart.mean() < 0.1 and apart.max() <= (4 if augmentation.grades else 1.01)
