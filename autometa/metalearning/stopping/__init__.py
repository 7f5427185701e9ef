"""Termination strategies: when an inner loop should stop, and which of its steps was best.

`adapting.adapt_until` runs the inner loop of any meta-learner that has one, until it should.
"""
