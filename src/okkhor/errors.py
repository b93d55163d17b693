"""The exceptions that are messages to a person."""


class InputError(ValueError):
    """A mistake in what the user gave: an option, a file, a label.

    The message is one line: what was wrong, what was expected, what to do, with the config key or the file
    and row. Commands print it without a traceback and exit with status 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; the message names the batch. Commands exit with status 1."""


class StoppedError(RuntimeError):
    """A run was asked to stop and did, its last checkpoint written. Commands exit with status 130."""


class JobFailedError(RuntimeError):
    """A job that ran elsewhere did not end well; the message says why, in one line. `code`: its exit status."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code
