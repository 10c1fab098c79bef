"""A recipe: everything that decides how a network is trained, each setting with what it may be.

The comment beside a setting is its meaning in docs/recipe.md, which `make docs` writes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal

from hilum.network.backbone import MULTI_SCALE, find_backbone
from hilum.network.finder import FinderShape
from hilum.network.fits import UnfitNetworkError, check_drop_path, check_fits
from hilum.network.heads.pyramid import Pyramid
from hilum.network.network import Heads, Trained
from hilum.radiograph.geometry import KEPT, SIDES, Geometry
from hilum.system.typed import Bounds, out_of_bounds
from hilum.training.variation.augment import Augmentation

Metric = Literal["loss", "accuracy", "balanced_accuracy", "auc", "ap50", "rsna_score", "joined", "dice"]
Count = Annotated[int, Bounds(1)]
NotNegative = Annotated[float, Bounds(0)]
Positive = Annotated[float, Bounds(above=0)]
Share = Annotated[float, Bounds(0, 1)]
# 1 would leave nothing to learn from.
ShareBelowOne = Annotated[float, Bounds(0, below=1)]
Side = Annotated[int, Bounds(*SIDES)]
SMALLEST_VIEW = 32  # pixels along each side of what a second view looks at
# Labels as sources state them; a recipe that names no classes trains pneumonia against the rest that is known.
BINARY: dict[str, list[str]] = {
    "normal": ["normal", "negative"],
    "pneumonia": [
        *("pneumonia", "bacterial", "viral", "lung_opacity", "typical", "indeterminate", "atypical", "covid"),
        *("covid-19", "covid19", "bacteria", "virus"),
    ],
}


class RecipeError(ValueError):
    """A recipe that cannot be followed; one line naming the key and what it may be."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Which network, and what it starts from."""

    name: str = "efficientnet_lite0"  # hilum's own name, or any of timm's
    weights: str = "imagenet"  # imagenet, none, a .safetensors or .pth file, or hub:OWNER/NAME@COMMIT
    # mlp is the head of resnet34-two-phases, two_linear that of the multi-scale transformers.
    head: Literal["linear", "mlp", "two_linear"] = "linear"
    dropout: ShareBelowOne = 0.0  # share of what the last layer reads that is left out at random in training
    # Stochastic depth, of timm's networks: how often a film passes the last block by in training, earlier ones less.
    drop_path: ShareBelowOne = 0.0


@dataclass(frozen=True, slots=True)
class Input:
    """How a film becomes the network's input."""

    geometry: Literal["squash", "fit", "crop"] = "squash"  # how a film of any shape gets this one
    height: Side | None = None  # in pixels; left out: the network's own
    width: Side | None = None  # in pixels; left out: the network's own
    keep: Annotated[float, Bounds(*KEPT)] = 1.0  # look at this central share of the film

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, once the network has filled in its own."""
        assert self.height is not None and self.width is not None, "Recipe.sized() comes first"
        return self.height, self.width

    def to_geometry(self) -> Geometry:
        """The same as what the rest of hilum works with."""
        return Geometry(self.geometry, *self.size, self.keep)


@dataclass(frozen=True, slots=True)
class Detector(Pyramid):
    """With this section a detector is trained: boxes, and the classes for the film as a whole."""

    box_loss: Literal["giou", "l1"] = "giou"  # of a box's place and sides
    box_weight: NotNegative = 1.0  # in the sum of losses, that of the scores being 1
    image_weight: NotNegative = 0.5  # in the same sum, of the loss of the film as a whole
    mosaic: Annotated[float, Bounds(0, 0.5)] = 0.0  # share of each batch put together from quarters of four films


@dataclass(frozen=True, slots=True)
class Opacity:
    """With this section the network learns a map of where opacities are, from boxes, for each of its views."""

    weight: NotNegative = 1.0  # in the sum of losses
    emphasis: Positive = 3.0  # how much more a place of an opacity counts than one without


@dataclass(frozen=True, slots=True)
class Lungs:
    """With this section the network finds the lungs, and looks a second time at the film with all else blackened."""

    sources: list[str] = field(default_factory=lambda: ["rsna-lungs"])  # whose films show their lungs alone
    size: Annotated[int, Bounds(0, 1024)] = 160  # sides of what the second view looks at, in pixels; 0: no second look
    mask_weight: NotNegative = 1.0  # in the sum of losses
    view_weight: NotNegative = 1.0  # in the same sum, of the classes as the second view sees them
    share: Share = 0.4  # of the whole films of a batch that the second view learns from, too


@dataclass(frozen=True, slots=True)
class Finder:
    """With this section another network, held fast, finds the lungs; a multi-scale transformer looks at them alone."""

    weights: str = "default"  # a bundle or a run whose network finds lungs
    network: str | None = None  # left out: that of the weights
    height: Side | None = None  # of the films on which it looks for lungs, in pixels; left out: as it was trained
    width: Side | None = None  # likewise


@dataclass(frozen=True, slots=True)
class AgeGroup:
    """With this section the network says whether a film is a child's or an adult's; its body does not learn from it."""

    weight: NotNegative = 0.2  # in the sum of losses


@dataclass(frozen=True, slots=True)
class Frozen:
    """With this section the body stays as it is, and the head is fitted to its features at once, in one epoch."""

    regularization: NotNegative = 1e-3  # times half the sum of squared weights, of features brought to one size
    iterations: Annotated[int, Bounds(1, 10_000)] = 100  # of L-BFGS, at most


@dataclass(frozen=True, slots=True)
class Loss:
    """What is minimized."""

    name: Literal["cross_entropy", "focal"] = "cross_entropy"  # focal: what is sure already counts less
    class_weights: Literal["none", "inverse"] | list[Positive] = "none"  # inverse: by frequency in the training split
    label_smoothing: ShareBelowOne = 0.0  # share of the truth that is spread evenly over the classes
    focal_gamma: NotNegative = 2.0  # of focal: how much less
    mixup: NotNegative = 0.0  # alpha of the Beta distribution by which two films are blended; 0 is off


@dataclass(frozen=True, slots=True)
class Optimizer:
    """How weights follow the gradient."""

    name: Literal["adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta"] = "adamw"  # torch's own
    learning_rate: Positive = 1e-3  # of the head, and of all layers if body_factor is 1
    weight_decay: NotNegative = 0.0  # as the optimizer means it: adamw apart from the gradient, the others in it
    momentum: ShareBelowOne = 0.0  # of sgd and rmsprop
    # Learning rate of the stem as a share of the head's; layers between lie between, each by the same factor.
    body_factor: Share = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The course of the learning rate over the epochs."""

    name: Literal["constant", "step", "plateau", "cosine", "one_cycle"] = "constant"  # course of the learning rate
    warmup_epochs: NotNegative = 0.0  # of cosine
    step_epochs: Count = 5  # of step: epochs until the rate falls, and falls again
    factor: Annotated[float, Bounds(above=0, below=1)] = 0.1  # of step and plateau: what the rate is multiplied by
    patience: Annotated[int, Bounds(0)] = 2  # of plateau: epochs without a lower loss before the rate falls


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of epochs; what it leaves out is as in the recipe's optimizer and schedule."""

    epochs: Count = 10  # passes over the training films
    train: Trained = "all"  # head: the body is held fast; hidden: all but the first of a head's two layers
    learning_rate: Positive | None = None  # left out: the optimizer's
    # Of batch normalization in the body; left out: frozen while only the head trains, moving while all does.
    body_statistics: Literal["frozen", "moving"] | None = None

    @property
    def statistics_move(self) -> bool:
        """Whether batch normalization in the body follows the films."""
        return (self.body_statistics or ("moving" if self.train == "all" else "frozen")) == "moving"


@dataclass(frozen=True, slots=True)
class Training:
    """How batches are made and steps are taken."""

    batch_size: Count = 32  # films
    feed: Literal["store", "torchvision", "dali"] = "store"  # torchvision and dali decode the files in every epoch
    # Variations of each film, made once and shown with it in every epoch; 0: varied anew.
    offline_passes: Annotated[int, Bounds(0)] = 0
    accumulate: Count = 1  # batches a step
    clip: NotNegative = 0.0  # largest norm of the gradient; 0 is off
    ema: ShareBelowOne = 0.0  # decay of averaged weights, which are then what is judged and kept; 0 is off
    precision: Literal["float32", "bf16", "fp16"] = "float32"  # of the arithmetic in training
    channels_last: bool = True  # how films lie in memory; faster on most devices
    compile: bool = False  # the network by torch.compile: minutes at the start, faster steps
    seed: Annotated[int, Bounds(0, 2**63 - 1)] = 1  # of the start, the order of films and all that is drawn
    # Shares of an epoch by source, or by source and label as "rsna:lung_opacity"; empty: every film once.
    mixture: dict[str, Positive] = field(default_factory=dict)
    epoch_films: Annotated[int, Bounds(0)] = 0  # with a mixture, how many films an epoch shows; 0: as many as there are


@dataclass(frozen=True, slots=True)
class Selection:
    """Which epoch is kept, by validation alone, and when to stop."""

    metric: Metric = "loss"  # of validation; ap50 and rsna_score are of boxes, joined of two views, dice of lungs
    after_epoch: Annotated[int, Bounds(0)] = 0  # earlier epochs are never kept
    patience: Annotated[int, Bounds(0)] = 0  # stop after so many epochs without improvement; 0 never stops


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what a run does, but its films."""

    title: str = ""  # what it is called in a report
    # Class -> labels that mean it. A label of several classes means one of these, not known which.
    classes: dict[str, list[str]] = field(default_factory=lambda: dict(BINARY))
    network: Architecture = field(default_factory=Architecture)
    input: Input = field(default_factory=Input)
    detector: Detector | None = None
    opacity: Opacity | None = None
    lungs: Lungs | None = None
    group: AgeGroup | None = None
    finder: Finder | None = None
    frozen: Frozen | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: Loss = field(default_factory=Loss)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    phases: list[Phase] = field(default_factory=lambda: [Phase()])
    training: Training = field(default_factory=Training)
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        for fault in (*out_of_bounds(self), *self._at_odds()):
            raise RecipeError(fault)

    def _at_odds(self) -> list[str]:
        """What each setting may be, but not together with another."""
        loss, training, faults = self.loss, self.training, []
        if len(self.classes) < 2:
            faults.append("classes: name at least two")
        named = [label for labels in self.classes.values() for label in set(labels)]
        counted = {label: named.count(label) for label in sorted(set(named))}
        if everywhere := [label for label, count in counted.items() if count == len(self.classes)]:
            faults.append(f"classes: the label {everywhere[0]} stands in all of them, so it tells nothing")
        if max(counted.values(), default=0) > 1 and loss.mixup:
            faults.append("loss.mixup: mixes labels that are sure, and some stand in several classes")
        if not self.phases:
            faults.append("phases: name at least one")
        if isinstance(loss.class_weights, list) and len(loss.class_weights) != len(self.classes):
            faults.append(f"loss.class_weights: {len(self.classes)} classes need as many weights")
        if self.selection.after_epoch >= self.epochs:
            faults.append(f"selection.after_epoch: none of the {self.epochs} epochs could be kept")
        if training.offline_passes and training.feed != "store":
            faults.append(f"training.offline_passes: training.feed must be store, not {training.feed}")
        if self.finder is not None and not self.network.name.endswith(MULTI_SCALE):
            faults.append(f"finder: goes with a multi-scale transformer, as resnet50{MULTI_SCALE}")
        if any(phase.train == "hidden" for phase in self.phases) and self.network.head == "linear":
            faults.append("phases.train = hidden: network.head = linear has no hidden layer")
        return [*faults, *self._at_odds_with_boxes(), *self._at_odds_with_views(), *self._at_odds_with_frozen()]

    def _at_odds_with_frozen(self) -> list[str]:
        if self.frozen is None:
            return []
        faults, training = [], self.training
        if any(section is not None for section in (self.detector, self.opacity, self.lungs, self.group)):
            faults.append("frozen: fits a head for films alone, not with [detector], [opacity], [lungs] or [group]")
        if [(phase.epochs, phase.train) for phase in self.phases] != [(1, "head")]:
            faults.append('frozen: has one phase of one epoch, with train = "head"')
        if self.loss.mixup or training.feed != "store" or training.offline_passes:
            faults.append("frozen: films are looked at once, as they are; leave loss.mixup and training.feed out")
        if training.compile:
            faults.append("frozen: films are looked at once, sooner than compiling ends; leave training.compile out")
        return faults

    def _at_odds_with_views(self) -> list[str]:
        faults, views = [], self.opacity is not None or self.lungs is not None or self.group is not None
        if self.lungs is not None and 0 < self.lungs.size < SMALLEST_VIEW:
            faults.append(f"lungs.size = {self.lungs.size}: at least {SMALLEST_VIEW}, or 0 for no second view")
        if self.selection.metric == "dice" and self.lungs is None:
            faults.append("selection.metric = dice: is of lungs, and there is no [lungs]")
        if self.selection.metric == "joined" and (self.lungs is None or not self.lungs.size or self.opacity is None):
            faults.append("selection.metric = joined: is of a network with [lungs] and [opacity]")
        if self.training.mixture and not views:
            faults.append("training.mixture: goes with [opacity], [lungs] or [group]")
        if views and (self.training.feed != "store" or self.training.offline_passes or self.loss.mixup):
            faults.append("training.feed, training.offline_passes, loss.mixup: not with [opacity], [lungs] or [group]")
        if views and self.detector is not None and self.detector.mosaic:
            faults.append("detector.mosaic: not with [opacity], [lungs] or [group]")
        return faults

    def _at_odds_with_boxes(self) -> list[str]:
        training, metric = self.training, self.selection.metric
        if self.detector is None:
            of_boxes = metric in ("ap50", "rsna_score")
            return [f"selection.metric = {metric}: is of boxes, and there is no [detector]"] if of_boxes else []
        faults = []
        if self.detector.kind == "queries" and (self.opacity or self.lungs or self.group):
            faults.append("detector.kind = queries: not with [opacity], [lungs] or [group]")
        if training.feed != "store" or training.offline_passes:
            faults.append("training.feed: boxes go with films from the store, varied anew in every epoch")
        if self.loss.mixup:
            faults.append("loss.mixup: films with boxes are not mixed")
        return faults

    @property
    def epochs(self) -> int:
        """The epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def heads(self) -> Heads:
        """What its network says beside the class of a film."""
        lungs = None if self.lungs is None else self.lungs.size
        shape, found = None, self.finder
        if found is not None and found.network and found.height and found.width:
            shape = FinderShape(found.network, (found.height, found.width))
        return Heads(self.detector, self.opacity is not None, lungs, self.group is not None, shape)

    def sized(self) -> Recipe:
        """With the network's own size where none is named. A network that cannot be trained so is a RecipeError."""
        own_height, own_width = find_backbone(self.network.name).input_size
        size = replace(self.input, height=self.input.height or own_height, width=self.input.width or own_width)
        try:
            check_fits(self.network.name, size.size, self.heads)
            if self.network.drop_path:
                check_drop_path(self.network.name, size.size)
        except UnfitNetworkError as error:
            raise RecipeError(f"network.name: {error}") from None
        return replace(self, input=size)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, which `recipe_from` reads."""
        return asdict(self)
