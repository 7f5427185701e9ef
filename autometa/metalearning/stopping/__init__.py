"""Termination strategies: when an inner loop should stop, and which of its steps was best."""
