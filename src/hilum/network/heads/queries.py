"""The other head that says where: RT-DETRv2's encoder and decoder over a body's maps, a score and a box for each query.

RT-DETRv2 (Lv et al., 2024) as `transformers` has it, built from numbers: nothing is fetched, and no code is run but the
package's. Each true box is one query's in training, so no two queries stand for one and nothing is suppressed after it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hilum.network.heads.boxes import RARE, Boxes, Candidates
from hilum.network.heads.pyramid import Pyramid

HEAD_WIDTH = 16  # channels of an attention head


class QueryHead(nn.Module):
    """Reads the maps of a body, finest first. The numbers of a query are its box: center and sides as fractions."""

    suppresses = False

    def __init__(self, pyramid: Pyramid, channels: Sequence[int], input_size: tuple[int, int]) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.narrow = nn.ModuleList(_narrowed(width, pyramid.width, 1) for width in channels)
        above = pyramid.levels - len(channels)
        self.above = nn.ModuleList(_narrowed(pyramid.width, pyramid.width, 2) for _ in range(above))
        self.detector: Any = _detector(pyramid, input_size)
        height, width = input_size
        self.register_buffer("frame", torch.tensor([width, height] * 2, dtype=torch.float32), persistent=False)
        self.frame: Tensor

    def forward(self, maps: Sequence[Tensor], drawn: Boxes | None = None) -> Candidates:
        """With boxes that are `drawn`, in pixels, the loss of the films of which they are known, too."""
        # Matching and sampling between places want all digits.
        with torch.autocast(maps[0].device.type, enabled=False):
            levels = [layer(map_.float()) for layer, map_ in zip(self.narrow, maps, strict=True)]
            for layer in self.above:
                levels.append(layer(levels[-1]))
            if drawn is None:
                return self._look(levels)
            known = torch.nonzero(drawn.known).squeeze(1)
            if not len(known):  # a film alone, so that every weight has a gradient, which is 0
                return self._learn([level[:1] for level in levels], [self._target(drawn, 0)], 0.0)
            targets = [self._target(drawn, int(film)) for film in known]
            # As the other head's losses are: a mean over all films of the batch.
            return self._learn([level[known] for level in levels], targets, len(known) / len(drawn.known))

    def loss_of(self, candidates: Candidates, drawn: Boxes) -> Tensor:
        """The loss of the last layer's queries alone, for validation: a sum over films of which boxes are known."""
        from transformers.loss.loss_rt_detr import RTDetrLoss

        loss_of, total = RTDetrLoss(self.detector.config), torch.zeros(())
        for film in torch.nonzero(drawn.known).squeeze(1).tolist():
            own = {"logits": candidates.scores[film, None, :, None], "pred_boxes": candidates.offsets[film, None]}
            total = total + sum(loss_of(own, [self._target(drawn, film)]).values())
        return total

    def boxes_at(self, offsets: Tensor, chosen: Tensor) -> Tensor:
        """Corners, as fractions of the picture, of the chosen queries (n) with the numbers `offsets` (queries, 4)."""
        return self.corners(offsets[chosen])

    def corners(self, offsets: Tensor) -> Tensor:
        """The boxes that centers and sides (..., 4) are, as fractions of the picture."""
        half = offsets[..., 2:] / 2
        return torch.cat([offsets[..., :2] - half, offsets[..., :2] + half], -1).clamp(0, 1)

    def _look(self, levels: list[Tensor]) -> Candidates:
        """What the package's own forward gives without labels; that one asks for the number of films as a number, which
        would be the only one that a bundle takes."""
        model = self.detector.model
        encoded = model.encoder(levels).last_hidden_state
        sources = [layer(map_) for layer, map_ in zip(model.decoder_input_proj, encoded, strict=True)]
        shapes = [(map_.shape[2], map_.shape[3]) for map_ in sources]
        places = torch.cat([map_.flatten(2).transpose(1, 2) for map_ in sources], 1)
        seen = model.enc_output(model.valid_mask.to(places) * places)
        best = model.enc_score_head(seen).amax(-1).topk(self.pyramid.queries, dim=1).indices.unsqueeze(-1)
        boxes = model.enc_bbox_head(seen) + model.anchors.to(places)
        decoded = model.decoder(
            inputs_embeds=seen.gather(1, best.expand(-1, -1, seen.shape[2])),
            encoder_hidden_states=places,
            reference_points=boxes.gather(1, best.expand(-1, -1, 4)),
            spatial_shapes=torch.tensor(shapes, device=places.device),
            spatial_shapes_list=shapes,
        )
        return Candidates(decoded.intermediate_logits[:, -1, :, 0], decoded.intermediate_reference_points[:, -1])

    def _learn(self, levels: list[Tensor], labels: list[dict[str, Tensor]], share: float) -> Candidates:
        """With this share of the loss. Every weight takes part, even where no film has a box: DDP waits for all."""
        model = self.detector.model
        encoded = model.encoder(levels)
        found = self.detector(pixel_values=None, inputs_embeds=levels[-1], encoder_outputs=encoded, labels=labels)
        every = 0 * model.denoising_class_embed.weight.sum() if self.pyramid.denoising else 0
        return Candidates(found.logits[..., 0], found.pred_boxes, share * found.loss + every)

    def _target(self, drawn: Boxes, film: int) -> dict[str, Tensor]:
        corners = drawn.corners[film][drawn.present[film]].float() / self.frame.to(drawn.corners.device)
        boxes = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
        return {"class_labels": torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device), "boxes": boxes}


def _narrowed(channels: int, width: int, stride: int) -> nn.Module:
    side = 2 * stride - 1
    return nn.Sequential(nn.Conv2d(channels, width, side, stride, side // 2, bias=False), nn.BatchNorm2d(width))


def _detector(pyramid: Pyramid, input_size: tuple[int, int]) -> Any:
    """RT-DETRv2 without a backbone and what narrows its maps."""
    # Checks of its own shapes at every call, which ONNX has no operators for.
    os.environ.setdefault("TRANSFORMERS_DISABLE_TORCH_CHECK", "1")
    from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    width, levels, heads = pyramid.width, pyramid.levels, pyramid.width // HEAD_WIDTH
    config = RTDetrV2Config(
        backbone_config=RTDetrResNetConfig(embedding_size=8, hidden_sizes=[8] * 4, depths=[1] * 4, layer_type="basic"),
        encoder_hidden_dim=width,
        encoder_in_channels=[width] * levels,
        feat_strides=pyramid.strides,
        encoder_ffn_dim=4 * width,
        encoder_attention_heads=heads,
        encode_proj_layers=[levels - 1],
        d_model=width,
        num_queries=pyramid.queries,
        decoder_in_channels=[width] * levels,
        decoder_ffn_dim=4 * width,
        num_feature_levels=levels,
        decoder_n_levels=levels,
        decoder_layers=pyramid.depth,
        decoder_attention_heads=heads,
        num_denoising=pyramid.denoising,
        anchor_image_size=list(input_size),
        num_labels=1,
        initializer_bias_prior_prob=RARE,
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    detector: Any = RTDetrV2ForObjectDetection(config)
    detector.model.backbone = detector.model.encoder_input_proj = nn.Identity()
    # Used are the decoder's own; these are copies of them for published weights.
    del detector.class_embed, detector.bbox_embed
    # The package begins with numbers near 0 even where layers normalize, since it expects weights to be loaded.
    for module in detector.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm)):
            module.reset_parameters()
    for module in detector.modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm, nn.Embedding)):
            detector._init_weights(module)
    return detector
