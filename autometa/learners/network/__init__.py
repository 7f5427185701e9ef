"""The `network` learner: an MLP for tables, trained by torch.

Where to change what: `settings` the space and its defaults, `inputs` what happens to cells,
`module` the architecture, `initial` its first weights, `rates` the learning rate of each tensor,
`schedule` how rates move while training, `training` the loop, `scoring` the loss on the stop rows,
`model` prediction and files, `fitting` how all of it makes one fit, `learner` the door to it,
which loads no torch.
"""

from autometa.learners.network.learner import NetworkLearner
from autometa.learners.network.settings import cheap_config

__all__ = ["NetworkLearner", "cheap_config"]
