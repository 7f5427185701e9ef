"""The prior of initial weights and learning rates: a meta-learned generator of networks.

Where to change what: `cells` (with `folds` and `pairs`) how a table's cells are read, `basis` what
becomes of a cell, `targets` and `descriptors` what the generator is told, `columns` how columns
see each other, `generator` the weights, `head` the output layer that is solved for, `settings`
rates and schedule, `traits` what else these are told, `network` the module that is proposed,
`inner_rule` how its inner loop steps, `proposer` the meta-learner of all. Meta-training: `tasks`
the tables, `sources` where they come from, `retargeting` other targets of them, `families` which
are kin, `recipe` and `training` the phases, `stop` when to stop, `checkpoint` the file and its
card. In use: `rows` and `proposing` make a proposal for a table, `start` and `configs` bring it
into studies.
"""
