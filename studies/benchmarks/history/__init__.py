"""Benchmarks of the store that grows: what a user's own past is worth."""
