"""Responses: how losses of past tasks depend on configs, learned for a new task to begin with."""
