"""Priors: what may be proposed for a new table before it is searched."""
