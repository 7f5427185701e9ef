"""What holds for all tests."""

from hypothesis import settings

# a busy machine makes any example slow: no test asserts a duration
settings.register_profile("autometa", deadline=None)
settings.load_profile("autometa")
