"""Search: spaces, sampling, pruning and stopping of an Optuna study."""
