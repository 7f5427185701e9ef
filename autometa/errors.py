"""Errors a user can mend. Each message says what was wrong, what is allowed and what to do."""


class AutometaError(ValueError):
    """Something the user can mend; the command line prints it in one line and exits with 2."""


class TableError(AutometaError):
    """The data cannot be read, or cannot be learned from as it is."""


class OptionError(AutometaError):
    """An option or argument has a value that is not allowed."""


class StoreError(AutometaError):
    """The store cannot be opened, or does not hold what was asked for."""


class ModelError(AutometaError):
    """A model folder cannot be written, read or used on the given table."""


class MetaLearningError(AutometaError):
    """Meta-training cannot go on, or a module or a task cannot be meta-learned from."""


class LearnerError(AutometaError):
    """A learner cannot be used: a missing extra, or settings outside its space."""


class HistoryError(AutometaError):
    """A history of evaluations cannot be read, or does not fit together."""
