"""Histories: evaluations of configs on past tasks, wherever they were kept."""
