"""Where the data files lie: a local folder, or any place that pyarrow's file systems reach, such as `s3://bucket/folder`."""

import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from okkhor.errors import InputError

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]+://")


@dataclass(frozen=True)
class SourceFile:
    """One file of a source folder: its name, its size in bytes and its time of change in ns (0 where unknown)."""

    name: str
    size: int
    modified: int

    def identity(self) -> dict[str, str | int]:
        return {"name": self.name, "bytes": self.size, "modified_ns": self.modified}


class SourceFolder:
    """A folder of data files, local or remote, listed once.

    where: a path, or a URI of pyarrow's (`s3://bucket/folder`, which heeds the usual AWS_* variables,
    AWS_ENDPOINT_URL among them). Raises InputError where there is no such folder or it cannot be reached.
    """

    def __init__(self, where: str | Path) -> None:
        self.where = str(where)
        self.remote = bool(_SCHEME.match(self.where)) and not self.where.startswith("file://")
        try:
            if _SCHEME.match(self.where):
                self.filesystem, self.root = fs.FileSystem.from_uri(self.where)
            else:
                self.filesystem, self.root = fs.LocalFileSystem(), str(Path(where).expanduser().resolve())
            self.root = self.root.rstrip("/")
            entries = self.filesystem.get_file_info(fs.FileSelector(self.root))
        except FileNotFoundError as error:
            raise InputError(f"data.dir={self.where}: no such folder; expected the one with the data files") from error
        except (OSError, pa.ArrowException, ValueError) as error:
            raise InputError(f"data.dir={self.where}: cannot be opened as a folder ({_cause(error)})") from error
        files = [entry for entry in entries if entry.type == fs.FileType.File]
        self.files = {file.base_name: SourceFile(file.base_name, file.size, file.mtime_ns or 0) for file in files}

    @property
    def local(self) -> Path | None:
        """The folder's own path, None where it is remote."""
        return None if self.remote else Path(self.root)

    def path(self, name: str) -> str:
        """How messages call a file of this folder."""
        base, _, query = self.where.partition("?")
        return posixpath.join(base if self.remote else self.root, name) + ("?" + query if query else "")

    def open(self, name: str) -> pa.NativeFile:
        """A file for random access. Raises InputError where it is missing."""
        with self.reading(name):
            return self.filesystem.open_input_file(posixpath.join(self.root, name))

    @contextmanager
    def reading(self, name: str, what: str = "a file") -> Iterator[None]:
        """Turn whatever pyarrow raises inside into one InputError that names the file."""
        try:
            yield
        except FileNotFoundError as error:
            raise InputError(f"{self.path(name)}: no such file") from error
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            raise InputError(
                f"{self.path(name)}: cannot be read as {what}, it is damaged or cut off ({_cause(error)}); "
                "fetch it again"
            ) from error


def _cause(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")[:160]
