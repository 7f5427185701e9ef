"""Gradient boosted trees: one file per library."""
