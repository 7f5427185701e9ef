"""Sources of tasks that come with the meta-learners; bring your own by having `draw`."""

from autometa.metalearning.sources.ahead import DrawnAhead
from autometa.metalearning.sources.episodes import Episodes, QuarterTurns, Views
from autometa.metalearning.sources.omniglot import Omniglot, load_omniglot
from autometa.metalearning.sources.sinusoids import SineCurves, Sinusoids

__all__ = [
    "DrawnAhead",
    "Episodes",
    "Omniglot",
    "QuarterTurns",
    "SineCurves",
    "Sinusoids",
    "Views",
    "load_omniglot",
]
