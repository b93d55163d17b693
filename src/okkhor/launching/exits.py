"""How commands end: mistakes in one line and status 2, a run gone wrong 1, a stop that was asked for 130."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from okkhor.errors import InputError, NonFiniteLossError, StoppedError


@contextmanager
def one_line_errors(composing: tuple[type[Exception], ...] = (), known: Callable[[], Any] = dict) -> Iterator[None]:
    """Say a mistake in one line on stderr and leave with its status; unknown errors keep their traceback.

    composing: exceptions of the configuration's composition, if there is one; known: composes it without a
    command line.
    """
    try:
        yield
    except InputError as error:
        _leave(f"error: {error}", 2)
    except NonFiniteLossError as error:
        _leave(f"error: {error}", 1)
    except StoppedError as error:
        _leave(str(error), 130)
    except KeyboardInterrupt:
        _leave("stopped at once; what the last checkpoint holds is kept", 130)
    except composing as error:
        from okkhor.training.options import in_one_line

        if not (message := in_one_line(error, known)):
            raise
        _leave(f"error: {message}", 2)


def _leave(message: str, status: int) -> None:
    print(message, file=sys.stderr, flush=True)
    sys.exit(status)
