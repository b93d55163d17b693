"""How commands end: mistakes in one line and status 2, a run gone wrong 1, a stop that was asked for 130.

What went wrong is also left where the process that started this one looks for it: a launcher in the file named by
OKKHOR_ERROR_FILE, torchrun's agent in the one named by TORCHELASTIC_ERROR_FILE.
"""

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from okkhor.errors import InputError, JobFailedError, NonFiniteLossError, StoppedError

ERROR_FILE = "OKKHOR_ERROR_FILE"
RANK_ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
SPOKEN_FOR = "OKKHOR_AGENT"  # in the environment of ranks whose agent says what went wrong, once for all of them

REFUSED, FAILED, STOPPED = 2, 1, 130  # exit statuses
UNREAD = 128 + signal.SIGPIPE  # as a shell shows it


@contextmanager
def one_line_errors(composing: tuple[type[Exception], ...] = (), known: Callable[[], Any] = dict) -> Iterator[None]:
    """Say a mistake in one line on stderr and leave with its status; unknown errors keep their traceback.

    composing: exceptions of the configuration's composition, if there is one; known: composes it without a
    command line.
    """
    try:
        yield
    except InputError as error:
        _leave(f"error: {error}", REFUSED)
    except NonFiniteLossError as error:
        _leave(f"error: {error}", FAILED)
    except JobFailedError as error:
        _leave(f"error: {error}", error.code)
    except StoppedError as error:
        _leave(str(error), STOPPED)
    except KeyboardInterrupt:
        _leave("stopped at once; what the last checkpoint holds is kept", STOPPED)
    except composing as error:
        from okkhor.training.options import in_one_line

        if not (message := in_one_line(error, known)):
            record(f"{type(error).__name__}: {error}")
            raise
        _leave(f"error: {message}", REFUSED)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _unread():
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
            )  # nobody is there to be told, at exit neither
            sys.exit(UNREAD)
        record(f"{type(error).__name__}: {error}", traceback.format_exc())
        if SPOKEN_FOR in os.environ:
            sys.exit(FAILED)
        raise


def _unread() -> bool:
    """Whether whoever read what this prints has left, as `| head` does."""
    output = select.poll()
    output.register(sys.stdout.fileno(), select.POLLOUT)
    return any(event & select.POLLERR for _, event in output.poll(0))


def under_nohup() -> bool:
    """Whether this process is to outlive the terminal that it was started in: SIGHUP is ignored, and stays so."""
    return signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def record(message: str, stack: str = "") -> None:
    """Leave the reason of a failure, and a rank's traceback, where the process that started this one looks for it."""
    line = " ".join(message.split())
    if rank_file := os.environ.get(RANK_ERROR_FILE):
        # the form that torchrun reads, see torch.distributed.elastic.multiprocessing.errors
        details = {"py_callstack": stack, "timestamp": str(int(time.time()))}
        Path(rank_file).write_text(json.dumps({"message": {"message": line, "extraInfo": details}}), encoding="utf-8")
    elif file := os.environ.get(ERROR_FILE):
        Path(file).write_text(line, encoding="utf-8")


def _leave(message: str, status: int) -> None:
    record(message.removeprefix("error: "))
    if SPOKEN_FOR not in os.environ:
        print(message, file=sys.stderr, flush=True)
    sys.exit(status)
