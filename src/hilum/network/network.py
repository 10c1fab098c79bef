"""A Network: views of a film, each with a body, and heads that read them. Grey films in, Outputs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from hilum.network import timm_networks
from hilum.network.backbone import Backbone, UnknownNetworkError, find_backbone
from hilum.network.body import Parts
from hilum.network.finder import FinderShape, LungFinder
from hilum.network.heads.boxes import Boxes, BoxHead, Candidates
from hilum.network.heads.lungs import STRIDES as LUNG_STRIDES
from hilum.network.heads.lungs import Blackened, LungHead, believed
from hilum.network.heads.opacity import STRIDES as OPACITY_STRIDES
from hilum.network.heads.opacity import OpacityHead
from hilum.network.heads.pyramid import Pyramid
from hilum.network.heads.queries import QueryHead
from hilum.network.hub_weights import PREFIX, fetch
from hilum.network.view import Head, Looked, View, create_head
from hilum.network.weights import WeightsError, fit_weights, imagenet_weights, origin_of, read_weights

T = TypeVar("T")
Trained = Literal["all", "head", "hidden"]

LARGEST_STRIDE = 32  # of a network's own maps; what lies above in a pyramid is made from the last of them


class Heads(NamedTuple):
    """What a network says beside the class of a film."""

    boxes: Pyramid | None = None
    opacity: bool = False  # a map of where opacities are
    lungs: int | None = None  # a mask of the lungs, and a view of them alone with sides of so many pixels, 0 for none
    group: bool = False  # child or adult
    finder: FinderShape | None = None  # another network that tells a multi-scale one where the lungs are


class Seen(NamedTuple):
    """What is known of the films of a batch that mixes whole films with such as show their lungs alone."""

    whole: Tensor  # (films,): false where all but the lungs is black already
    masks: Tensor  # (films, 1, rows, columns) from 0 to 1, at a quarter of the sides
    masked: Tensor  # (films,): whether the mask is known
    looked: Tensor  # (films,): which of them the lungs view looks at


class Outputs(NamedTuple):
    """What a network says of a batch; None is what it has no head for.

    `auxiliary` are logits of heads midway in the body, which only training asks for; the loss of each counts
    `auxiliary_weight` of the backbone. Films that a view did not look at have zeros.
    """

    film: Tensor  # (films, classes): logits of the film as a whole
    boxes: Candidates | None = None
    auxiliary: tuple[Tensor, ...] = ()
    opacity: Tensor | None = None  # (films, 1, rows, columns): logits
    masks: Tensor | None = None  # (films, 1, rows, columns): logits
    group: Tensor | None = None  # (films,): logits of being an adult's
    lungs: Looked | None = None  # of the view of the lungs alone


class Network(nn.Module):
    """Made by `create_network`. `origin` says in words where the weights came from, `terms` under which license."""

    def __init__(
        self,
        film: View,
        boxes: BoxHead | QueryHead | None = None,
        masks: LungHead | None = None,
        lungs: View | None = None,
        group: nn.Linear | None = None,
    ) -> None:
        super().__init__()
        self.film, self.boxes, self.masks, self.lungs, self.group = film, boxes, masks, lungs, group
        self.blackened = Blackened(film.input_size, lungs.input_size[0]) if lungs is not None else None
        self.origin, self.terms = "random", ""

    @property
    def backbone(self) -> Backbone:
        """What is known of the network beneath all views."""
        return self.film.backbone

    @property
    def classes(self) -> int:
        """How many classes a film may be of."""
        return self.film.classes

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the films it takes."""
        return self.film.input_size

    def forward(self, x: Tensor, seen: Seen | None = None) -> Outputs:
        """Of films (films, 1, height, width) in [0, 1], of the input's size; without `seen` all of them are whole."""
        return self._outputs(x, seen, None, auxiliary=False)

    def training_outputs(self, x: Tensor, seen: Seen | None = None, drawn: Boxes | None = None) -> Outputs:
        """The same with the auxiliary heads' logits, and the loss of a head that is shown the boxes `drawn`."""
        return self._outputs(x, seen, drawn, auxiliary=True)

    def _outputs(self, x: Tensor, seen: Seen | None, drawn: Boxes | None, *, auxiliary: bool) -> Outputs:
        whole = None if seen is None else _chosen(seen.whole)
        maps, taps = self.film.maps_and_taps(x if whole is None else x[whole])
        pooled = self.film.body.pool(maps)
        given: dict[str, Any] = {"film": self.film.head(pooled)}
        if self.boxes is not None:
            read = self.film.body.select(taps, self.boxes.pyramid.strides)
            given["boxes"] = self.boxes(read) if drawn is None else self.boxes(read, drawn)
        if auxiliary:
            given["auxiliary"] = tuple(self.film.auxiliary_logits(taps))
        if self.film.opacity is not None:
            given["opacity"] = self.film.opacity(*self.film.body.select(taps, OPACITY_STRIDES))
        if self.masks is not None:
            given["masks"] = self.masks(self.film.body.select(taps, LUNG_STRIDES))
        if self.group is not None:  # it only reads: what tells children from adults here may be the hospital
            given["group"] = self.group(pooled.detach()).squeeze(1)
        if whole is not None:
            given = {name: spread(value, whole, len(x)) for name, value in given.items()}
        if self.lungs is None or self.masks is None:
            return Outputs(**given)
        return Outputs(**given, lungs=self._look_at_lungs(x, given["masks"].detach(), seen))

    def _look_at_lungs(self, x: Tensor, logits: Tensor, seen: Seen | None) -> Looked:
        assert self.blackened is not None and self.lungs is not None
        masks = believed(logits.float())
        if seen is None:
            return self.lungs.look(self.blackened(x, masks))
        masks = torch.where(seen.masked[:, None, None, None], seen.masks, masks)
        chosen = torch.nonzero(seen.looked).squeeze(1)
        return spread(self.lungs.look(self.blackened(x[chosen], masks[chosen])), chosen, len(x))

    def set_trainable(self, trained: Trained, *, moving_statistics: bool) -> None:
        """What learns: all of it, all that is new, or of the head its hidden layer alone; see `Freezable`."""
        for view in self.views:
            view.set_body_trainable(trained == "all", moving_statistics=moving_statistics)
        for parameter in self.head_parameters():
            parameter.requires_grad_(trained != "hidden")
        if trained == "hidden":
            self.film.head.get_submodule("hidden").requires_grad_(True)

    @property
    def views(self) -> list[View]:
        """The view of the whole film, and that of the lungs where there is one."""
        return [view for view in (self.film, self.lungs) if view is not None]

    def trained_by(self, trained: Trained) -> int:
        """How many parameters learn so."""
        if trained == "hidden":
            return sum(parameter.numel() for parameter in self.film.head.get_submodule("hidden").parameters())
        learning = chain(*self.layer_groups()) if trained == "all" else self.head_parameters()
        return sum(parameter.numel() for parameter in learning)

    def head_parameters(self) -> list[nn.Parameter]:
        """All that is new: the heads, and layers of the body that no published weights have."""
        own = {
            id(parameter)
            for view in self.views
            for name, layer in view.body.named_children()
            for parameter in layer.parameters()
            if name not in view.body.new
        }
        return [parameter for parameter in self.parameters() if id(parameter) not in own]

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Every parameter once, grouped from the first layers to the heads, for learning rates that differ by depth."""
        depths = zip_longest(*(view.body.layer_groups() for view in self.views), fillvalue=[])
        return [*([*chain(*depth)] for depth in depths), self.head_parameters()]


def spread(values: T, places: Tensor, count: int) -> T:
    """Values of some films at their places among all of a batch, and zeros elsewhere."""

    def put(tensor: Tensor) -> Tensor:
        return tensor.new_zeros((count, *tensor.shape[1:])).index_copy(0, places, tensor)

    return tree_map_only(Tensor, put, values)  # type: ignore[no-any-return]


def create_network(
    name: str,
    classes: int,
    weights: str | Path = "imagenet",
    *,
    head: Head = "linear",
    dropout: float | None = None,
    drop_path: float = 0.0,
    input_size: tuple[int, int] | None = None,
    heads: Heads = Heads(),  # noqa: B008, it is immutable
    seed: int | None = None,
) -> Network:
    """The network called `name` for this many classes, and what else it is to say.

    `weights` are "imagenet", "none", a file or a hub's: of the published network, or of a Network; what is the same is
    taken over, else it is new. `dropout` stands before the last layer, None means as published. `drop_path` is how
    often the last block of a network of timm's is left out in training, and earlier ones less often. `seed` makes the
    random start repeatable and leaves torch's generator as it was.
    """
    backbone = find_backbone(name)
    if drop_path:
        backbone = replace(backbone, build=partial(backbone.build, drop_path=drop_path))
    size = input_size or backbone.input_size
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            # Not torch.manual_seed, which reaches the GPUs' generators too.
            torch.default_generator.manual_seed(seed)
        if dropout is None:
            dropout = backbone.dropout if head == "linear" else 0.0
        strides = _strides(heads)
        parts = backbone.build(size, classes) if strides is None else _maps(backbone, strides, size, drop_path)
        if heads.finder is not None:
            parts.body.finder = LungFinder(heads.finder, size, backbone)
        box_head: BoxHead | QueryHead | None = None
        if heads.boxes is not None:
            kind = QueryHead if heads.boxes.kind == "queries" else BoxHead
            box_head = kind(heads.boxes, parts.body.channels_at(heads.boxes.strides), size)
        film = View(backbone, parts, create_head(head, parts.body.width, classes, dropout), classes, size)
        if heads.opacity:
            film.opacity = OpacityHead(parts.body.channels_at(OPACITY_STRIDES))
        masks = lungs = None
        if heads.lungs is not None:
            masks = LungHead(parts.body.channels_at(LUNG_STRIDES))
        if heads.lungs:
            again = _maps(backbone, OPACITY_STRIDES, (heads.lungs, heads.lungs), drop_path)
            new_head = create_head(head, again.body.width, classes, dropout)
            lungs = View(backbone, again, new_head, classes, (heads.lungs, heads.lungs))
            if heads.opacity:
                lungs.opacity = OpacityHead(again.body.channels_at(OPACITY_STRIDES))
        group = nn.Linear(parts.body.width, 1) if heads.group else None
    network = Network(film, box_head, masks, lungs, group)
    if weights != "none":
        load_weights(network, weights)
    return network


def _chosen(films: Tensor) -> Tensor:
    """The numbers of these films; of the first where there is none, as in a process's share of a batch: heads take no
    empty batches, and DDP waits for every weight. No loss counts what is not whole."""
    return torch.nonzero(films).squeeze(1) if films.any() else films.new_zeros(1, dtype=torch.int64)


def _strides(heads: Heads) -> tuple[int, int] | None:
    """From the finest to the coarsest map that the heads read of a body; None if only its last is wanted."""
    if heads.lungs is not None:
        return LUNG_STRIDES[0], LARGEST_STRIDE
    finest = [heads.boxes.first_stride] if heads.boxes is not None else []
    if heads.opacity:
        return min(*finest, *OPACITY_STRIDES), LARGEST_STRIDE
    return (finest[0], min(heads.boxes.strides[-1], LARGEST_STRIDE)) if heads.boxes is not None else None


def _maps(backbone: Backbone, strides: Sequence[int], size: tuple[int, int], drop_path: float) -> Parts:
    own = timm_networks.timm_name(backbone.name)
    if own is None:
        raise UnknownNetworkError(
            f"{backbone.name} gives no feature maps to find boxes on; take one of timm's, as timm/resnet50"
        )
    if any(side % LARGEST_STRIDE for side in size):
        raise ValueError(
            f"an input of {size[0]} x {size[1]} of a network that says where: sides are multiples of {LARGEST_STRIDE}"
        )
    return timm_networks.feature_maps(own, (strides[0], strides[-1]), size, drop_path)


def load_weights(network: Network, weights: str | Path) -> None:
    """Fills a network with "imagenet" or a file's weights, and says in its `origin` what was taken and what is new."""
    view, backbone = network.film, network.backbone
    if weights == "imagenet":
        source = f"ImageNet ({backbone.hub}, {backbone.license})"
        given = imagenet_weights(backbone, network.input_size)
    else:
        file, (source, network.terms) = Path(weights), origin_of(Path(weights))
        if str(weights).startswith(PREFIX):
            file, source, network.terms = fetch(str(weights))
        given = read_weights(file)
        source = f"{source}, {network.terms}" if network.terms else source
    of_view = {name.removeprefix("film."): tensor for name, tensor in given.items() if name.startswith("film.")}
    try:
        fitting = fit_weights(of_view or given, view.state_dict(), view.body)
    except WeightsError as error:
        raise WeightsError(f"{weights} does not fit {backbone.name}: {error}") from None
    view.load_state_dict(fitting, strict=False)
    anew = [name for name in view.body.new if any(True for _ in view.body.get_submodule(name).parameters())]
    new = [layer for layer in anew if not any(name.startswith(f"body.{layer}.") for name in fitting)]
    new += [] if any(name.startswith("head.") for name in fitting) else ["head"]
    if view.opacity is not None and not any(name.startswith("opacity.") for name in fitting):
        new.append("opacity")
    for part, module in network.named_children():
        if module is view or not list(module.parameters()) or _fill(module, part, given):
            continue
        if module is network.lungs:  # it begins as the view of the film does
            network.lungs.body.load_state_dict(view.body.state_dict(), strict=False)
        new.append(part)
    network.origin = f"{source}, new {_listed(new)}" if new else source


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _fill(module: nn.Module, part: str, given: dict[str, Tensor]) -> bool:
    """Whether a whole part of a network stood among these weights, and was taken over."""
    own = module.state_dict()
    there = {name: given.get(f"{part}.{name}") for name in own}
    fitting = {name: tensor for name, tensor in there.items() if tensor is not None and tensor.shape == own[name].shape}
    if fitting.keys() != own.keys():
        return False
    module.load_state_dict(fitting)
    return True
