"""Learned mini-batch gradient descent: rates, schedule, momentum, decay and batch size."""
