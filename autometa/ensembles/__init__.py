"""Ensembles: weighing finished trials' models, and calibrating what they say together."""
