"""The prior of initial weights and learning rates: a meta-learned generator of networks.

Where to change what: `cells` how a table's cells are read, `basis` what becomes of a cell,
`targets` and `descriptors` what the generator is told, `columns` how columns see each other,
`generator` the weights, `head` the output layer that is solved for, `settings` rates and schedule,
`network` the module that is proposed, `inner_rule` how its inner loop steps, `proposer` the
meta-learner of all, `tasks` the tables it is meta-trained on.
"""
