"""The loss of boxes, against torchvision's RetinaNet."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import box_iou

from hilum.network.heads.anchors import draw_anchors, encode
from hilum.network.heads.boxes import Boxes, Candidates
from hilum.network.heads.pyramid import Pyramid
from hilum.training.task.box_loss import BACKGROUND, NEITHER, assign, box_losses

ANCHORS = draw_anchors(Pyramid(), (128, 128))


def batch(seed: int, counts: list[int]) -> Boxes:
    random = torch.Generator().manual_seed(seed)
    most = max(counts)
    corners = torch.zeros(len(counts), most, 4)
    corners[..., :2] = torch.rand(len(counts), most, 2, generator=random) * 80
    corners[..., 2:] = corners[..., :2] + 12 + torch.rand(len(counts), most, 2, generator=random) * 60
    present = torch.arange(most)[None] < torch.tensor(counts)[:, None]
    return Boxes(corners, present, torch.ones(len(counts), dtype=torch.bool))


def found(seed: int, films: int) -> Candidates:
    random = torch.Generator().manual_seed(seed + 1000)
    scores = torch.randn(films, len(ANCHORS), generator=random)
    return Candidates(scores, torch.randn(films, len(ANCHORS), 4, generator=random))


@given(st.integers(0, 1000), st.lists(st.integers(0, 4), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_anchors_are_assigned_as_torchvision_does(seed: int, counts: list[int]) -> None:
    boxes = batch(seed, counts)
    ours = assign(ANCHORS, boxes)
    matcher = Matcher(0.5, 0.4, allow_low_quality_matches=True)
    for film, count in enumerate(counts):
        if count:
            assert torch.equal(ours[film], matcher(box_iou(boxes.corners[film, :count], ANCHORS)))
        else:
            assert (ours[film] == BACKGROUND).all()


@given(st.integers(0, 1000), st.lists(st.integers(1, 4), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_losses_are_those_of_torchvision(seed: int, counts: list[int]) -> None:
    boxes, said = batch(seed, counts), found(seed, len(counts))
    head = RetinaNetHead(8, 9, 1)
    targets = [
        {"boxes": boxes.corners[film, :count], "labels": torch.zeros(count, dtype=torch.int64)}
        for film, count in enumerate(counts)
    ]
    outputs = {"cls_logits": said.scores[..., None], "bbox_regression": said.offsets}
    theirs = head.compute_loss(targets, outputs, [ANCHORS] * len(counts), list(assign(ANCHORS, boxes)))
    ours = box_losses(said, ANCHORS, boxes, "l1")
    assert ours.scores.item() == pytest.approx(theirs["classification"].item(), rel=1e-4)
    assert ours.boxes.item() == pytest.approx(theirs["bbox_regression"].item(), rel=1e-4)


def test_films_without_opacity_teach_background_and_films_of_unknown_boxes_teach_nothing() -> None:
    none, said = batch(1, [0, 0]), found(1, 2)
    said.scores.requires_grad_(True)
    box_losses(said, ANCHORS, none, "giou").scores.backward()  # type: ignore[no-untyped-call]
    assert said.scores.grad is not None
    assert (said.scores.grad != 0).all(), "every anchor of a film without opacity is background"
    said = found(1, 2)
    said.scores.requires_grad_(True)
    unknown = none._replace(known=torch.tensor([True, False]))
    box_losses(said, ANCHORS, unknown, "giou").scores.backward()  # type: ignore[no-untyped-call]
    assert said.scores.grad is not None
    assert (said.scores.grad[0] != 0).all()
    assert (said.scores.grad[1] == 0).all()


def test_boxes_of_films_that_are_unknown_count_nothing() -> None:
    boxes, said = batch(3, [2, 2]), found(3, 2)
    first = box_losses(
        Candidates(said.scores[:1], said.offsets[:1]), ANCHORS, Boxes(*(part[:1] for part in boxes)), "giou"
    )
    both = box_losses(said, ANCHORS, boxes._replace(known=torch.tensor([True, False])), "giou")
    assert both.boxes.item() == pytest.approx(first.boxes.item() / 2)
    assert both.scores.item() == pytest.approx(first.scores.item() / 2)


def test_a_box_that_no_anchor_fits_still_gets_its_nearest() -> None:
    boxes = Boxes(torch.tensor([[[60.0, 60, 64, 64]]]), torch.ones(1, 1, dtype=torch.bool), torch.ones(1).bool())
    assigned = assign(ANCHORS, boxes)
    assert (assigned >= 0).any()
    assert not (assigned == NEITHER).any()


def test_the_right_offsets_have_no_loss() -> None:
    boxes = batch(5, [3])
    number = assign(ANCHORS, boxes)[0].clamp(min=0)
    said = found(5, 1)._replace(offsets=encode(boxes.corners[0, number], ANCHORS)[None])
    assert box_losses(said, ANCHORS, boxes, "giou").boxes.item() == pytest.approx(0, abs=1e-4)
    assert box_losses(said, ANCHORS, boxes, "l1").boxes.item() == pytest.approx(0, abs=1e-4)
