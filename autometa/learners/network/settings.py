"""The settings of the network: its search space, defaults by table shape, and typed values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, cast

from autometa.learners._base import TableShape
from autometa.spaces import Choice, Config, Float, Int, Parameter, Scalar, Space, When

_N_EPOCHS = 256  # RealMLP-TD
# Four members of width 128 multiply as much as RealMLP-TD's one of 256; on 12 tables their loss
# was 0.911 of its loss (geometric mean), one of 256 had 0.964.
_WIDTH = 128
_N_MEMBERS = 4
_MIN_EPOCHS = 16
_ROW_VISITS = 2_500_000  # rows times epochs: about 30 s of one core
_BATCH_SIZES = (64, 128, 256, 512, 1024, 2048)
_ROWS_PER_LARGER_BATCH = 20_000  # RealMLP-TD's 256 up to here, then doubling as rows double
_MAX_PERIODIC_NUMBERS = 128  # the embedding makes four inputs of each number
_STARTS = ("prior", "prior+noise", "standard")


def network_space(shape: TableShape) -> Space:
    """The settings to search, with defaults for a table of this shape.

    Where a prior can be asked, a network may start from what it proposes.
    """
    if not shape.has_prior:
        return Space(_standard(shape, None))
    proposed = When("start", ("prior", "prior+noise"))
    return Space(
        (
            Parameter("start", Choice(_STARTS), "prior"),
            Parameter("length", Choice((0, 1, 4, 16)), 4, proposed),
            Parameter("proposals", Choice((1, 2, 4, 8)), 4, proposed),
            Parameter("rate", Float(0.1, 10.0, log=True), 1.0, proposed),
            Parameter("decay", Float(0.1, 10.0, log=True), 1.0, proposed),
            Parameter("frozen", Choice(("none", "first", "body")), "none", proposed),
            Parameter("head", Choice(("solved", "zero")), "solved", proposed),
            Parameter("prior_dropout", Float(0.0, 0.5), 0.0, proposed),
            Parameter("noise", Float(0.01, 1.0, log=True), 0.1, When("start", ("prior+noise",))),
            *_standard(shape, When("start", ("standard",))),
        )
    )


def _standard(shape: TableShape, when: When | None) -> tuple[Parameter, ...]:
    """The settings of a network with the learner's own start; some are every network's."""
    is_classification = shape.target.kind.is_classification
    smoothing = (Parameter("label_smoothing", Float(0.0, 0.2), 0.0),)
    return (
        Parameter("width", Int(32, 512, log=True), _WIDTH, when),
        Parameter("depth", Int(1, 5), 3, when),
        Parameter("members", Choice((1, 4, 8, 16)), _N_MEMBERS, when),
        Parameter("embedding", *_embeddings(shape), when),
        Parameter(
            "activation", Choice(("selu", "mish")), "selu" if is_classification else "mish", when
        ),
        Parameter("lr", Float(2e-3, 0.5, log=True), 0.04 if is_classification else 0.2, when),
        Parameter("dropout", Float(0.0, 0.5), 0.15, when),
        Parameter("weight_decay", Float(1e-4, 0.2, log=True), 0.02, when),
        *(smoothing if is_classification else ()),
        Parameter("batch_size", Choice(_BATCH_SIZES), _batch_size(shape.n_rows)),
        Parameter("epochs", Int(4, 512, log=True), _n_epochs(shape.n_rows), when),
    )


def cheap_config(shape: TableShape) -> dict[str, Scalar]:
    """A config that trains in a tenth of the default's time, for short studies."""
    epochs = max(_MIN_EPOCHS, _n_epochs(shape.n_rows) // 4)
    return {"width": 64, "depth": 2, "members": 1, "embedding": "none", "epochs": epochs}


def relative_cost(config: Config) -> float:
    """Epochs times what an epoch costs: steps, and the numbers multiplied in them.

    Fitted to seconds of five shapes on tables of 500 to 2,000 rows, one thread: a step's overhead
    is three times the arithmetic of two layers of 64 with one member, and 25 epochs of such a
    network take as long as LightGBM.
    """
    if config.get("start", "standard") != "standard":
        return _proposed_cost(ProposedSettings.from_config(config))
    settings = NetworkSettings.from_config(config)
    arithmetic = settings.depth * settings.width**2 * settings.members / (2 * 64**2)
    steps = 256 / settings.batch_size
    return settings.epochs * (0.75 * steps + 0.25 * arithmetic) / 25


def _proposed_cost(settings: ProposedSettings) -> float:
    """By length and members, to the seconds of six settings on 59 tables of at most 600 rows.

    Compared with other proposals alone: how many steps a prior suggests is not known here.
    """
    proposing = 0.4 + 0.15 * settings.proposals
    return (proposing + 0.12 * settings.length * (0.5 + 0.5 * settings.proposals)) / 10


def _embeddings(shape: TableShape) -> tuple[Choice, str]:
    """Choices and default of the numbers' embedding."""
    if shape.n_numbers == 0 or shape.n_numbers > _MAX_PERIODIC_NUMBERS:
        return Choice(("none",)), "none"
    return Choice(("none", "periodic")), "periodic"


def _batch_size(n_rows: int) -> int:
    """RealMLP-TD's 256, larger on tables where it would make too many steps."""
    size = 256
    while size < _BATCH_SIZES[-1] and n_rows > _ROWS_PER_LARGER_BATCH * size // 256:
        size *= 2
    return size


def _n_epochs(n_rows: int) -> int:
    """RealMLP-TD's 256, fewer where the row visits would pass `_ROW_VISITS`."""
    return max(_MIN_EPOCHS, min(_N_EPOCHS, _ROW_VISITS // max(1, n_rows)))


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """A complete config of a network with the learner's own start."""

    width: int
    depth: int
    members: int
    embedding: str
    activation: str
    lr: float
    dropout: float
    weight_decay: float
    batch_size: int
    epochs: int
    label_smoothing: float = 0.0

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The values of a config that `Space.complete` has checked."""
        return cls(**_without(config, "start"))


@dataclass(frozen=True, slots=True)
class ProposedSettings:
    """A complete config of a network that a prior proposes.

    `length`, `rate` and `decay` multiply what is proposed, the first the number of steps; `noise`
    is relative to a tensor's own spread.
    """

    start: str
    length: int
    proposals: int
    rate: float
    decay: float
    frozen: str
    head: str
    prior_dropout: float
    batch_size: int
    noise: float = 0.0
    label_smoothing: float = 0.0

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The values of a config that `Space.complete` has checked."""
        return cls(**_without(config))


def _without(config: Config, *names: str) -> dict[str, Any]:
    """The settings but for some, for a constructor to take."""
    kept = {name: value for name, value in config.items() if name not in names}
    return cast("dict[str, Any]", kept)
