"""Responses: how losses of past tasks depend on configs, learned so that a new task begins there."""
