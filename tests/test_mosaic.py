"""Mosaics: pixels come from where they were, and boxes go with them."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.network.heads.boxes import Boxes
from hilum.training.feed.mosaic import mosaic

HEIGHT, WIDTH, FILMS = 48, 64, 6


def numbered_films(seed: int) -> tuple[torch.Tensor, Boxes]:
    """Films whose pixels say which film they are of, negative inside the film's one box; the last has none."""
    generator = torch.Generator().manual_seed(seed)
    films = torch.arange(1.0, FILMS + 1)[:, None, None, None].repeat(1, 1, HEIGHT, WIDTH)
    corners = torch.zeros(FILMS, 1, 4)
    present = torch.ones(FILMS, 1, dtype=torch.bool)
    for film in range(FILMS - 1):
        left, top = (int(torch.randint(0, side // 2, (), generator=generator)) for side in (WIDTH, HEIGHT))
        right, bottom = left + WIDTH // 3, top + HEIGHT // 3
        corners[film, 0] = torch.tensor([left, top, right, bottom])
        films[film, 0, top:bottom, left:right] *= -1
    present[-1] = False
    return films, Boxes(corners, present, torch.ones(FILMS, dtype=torch.bool))


@given(st.integers(0, 10_000), st.integers(1, FILMS // 2))
@settings(max_examples=60, deadline=None)
def test_pixels_stay_where_they_were_and_boxes_go_with_them(seed: int, count: int) -> None:
    films, boxes = numbered_films(seed)
    made, drawn = mosaic(films, boxes, count, (seed, 0, 0))
    assert torch.equal(made[count:], films[count:])
    for film in range(count):
        picture = made[film, 0]
        sources = picture.abs().long() - 1
        rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
        assert torch.equal(picture, films[sources, 0, rows, columns])
        left_over = picture < 0
        for left, top, right, bottom in drawn.corners[film][drawn.present[film]].long().tolist():
            assert (picture[top:bottom, left:right] < 0).all()
            assert len(set(picture[top:bottom, left:right].flatten().tolist())) == 1  # of one film
            left_over[top:bottom, left:right] = False
        # What no box covers any more is less than a third of the box it was part of.
        for number in set(sources[left_over].tolist()):
            whole = (films[number, 0] < 0).sum()
            pieces = left_over & (sources == number)
            assert pieces.sum() < 0.3 * whole


def test_a_mosaic_knows_its_boxes_only_if_all_four_films_do() -> None:
    films, boxes = numbered_films(0)
    unknown = boxes._replace(known=torch.zeros(FILMS, dtype=torch.bool))
    assert not mosaic(films, unknown, 3, (1, 2, 3))[1].known.any()
    assert mosaic(films, boxes, 3, (1, 2, 3))[1].known.all()


def test_films_without_any_box_make_mosaics() -> None:
    films, _ = numbered_films(0)
    nothing = Boxes(torch.zeros(FILMS, 0, 4), torch.zeros(FILMS, 0, dtype=torch.bool), torch.ones(FILMS).bool())
    made, drawn = mosaic(films, nothing, 2, (0, 0, 0))
    assert drawn.corners.shape == (FILMS, 0, 4) and made.shape == films.shape


def test_the_same_place_in_a_run_makes_the_same_mosaic() -> None:
    films, boxes = numbered_films(4)
    assert torch.equal(mosaic(films, boxes, 3, (1, 2, 3))[0], mosaic(films, boxes, 3, (1, 2, 3))[0])
    assert not torch.equal(mosaic(films, boxes, 3, (1, 2, 3))[0], mosaic(films, boxes, 3, (1, 2, 4))[0])
