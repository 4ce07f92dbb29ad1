"""Errors of the training side that a person must act on; each says what was found, what is allowed and what to do."""

from service.contract.errors import DuoActError


class DataError(DuoActError):
    """A data folder that cannot be trained on: missing files, bad rows, videos that do not decode."""


class RunError(DuoActError):
    """A run or backbone folder that is missing, incomplete, or made of other parts than asked for."""


class DivergenceError(DuoActError):
    """Training produced a number that is not finite."""


class SettingError(DuoActError):
    """A setting of the command line that no config has, or that cannot have this value."""


class ImportProblem(DuoActError):  # noqa: N818 - ImportError is taken by Python
    """A released checkpoint that cannot be read safely, is of another family, or lacks what its family has."""


class PublishError(DuoActError):
    """A model repository that cannot be published to, or has nothing to go back to."""
