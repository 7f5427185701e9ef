"""Measurements of what the table prior is worth."""
