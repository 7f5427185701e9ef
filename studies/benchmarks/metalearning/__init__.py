"""The meta-learning algorithms beside their papers' figures: sine curves, Omniglot, speed."""
