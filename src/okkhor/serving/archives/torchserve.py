"""TorchServe's model archive: <name>-<version>-<format>.mar."""

import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import yaml

from okkhor.errors import InputError
from okkhor.serving.archives.contents import lay_out
from okkhor.serving.bundle import Bundle

SERVE = Path(__file__).resolve().parents[4] / "serve" / "torchserve"
HANDLER = SERVE / "handler.py"
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # it becomes part of file names and of URLs
ARCHIVER_SECONDS = 300


def write_torchserve(
    bundle: Bundle,
    format: str,
    out: Path,
    *,
    name: str | None = None,
    version: str | None = None,
    threads: int = 1,
    handler: Path = HANDLER,
) -> Path:
    """Have torch-model-archiver write the archive into the folder `out`; one of the same name is replaced.

    name, version: that the model is served under; default: the bundle's. threads: that a worker computes with;
    handler: what answers, a file with one class.
    Raises InputError when the bundle lacks the format, for a name that cannot stand in a URL, or without the archiver.
    """
    name, version = name or bundle.name, version or str(bundle.version)
    for option, value in (("name", name), ("version", version)):
        if not PLAIN.fullmatch(value):
            raise InputError(f"{option}={value}: expected letters, digits, dots, dashes and underscores")
    if find_spec("model_archiver") is None:
        raise InputError("torch-model-archiver is not installed; pip install -e '.[serve]'")
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{version}-{format}"
    with tempfile.TemporaryDirectory(prefix=".archiving-", dir=out) as scratch:
        inside, made, config = Path(scratch) / "inside", Path(scratch) / "made", Path(scratch) / "model-config.yaml"
        inside.mkdir()
        made.mkdir()
        lay_out(bundle, format, inside, name=name, version=version)
        config.write_text(yaml.safe_dump({"handler": {"format": format, "threads": threads}}), encoding="utf-8")
        words = [
            "--model-name", stem, "--version", version, "--handler", str(handler), "--config-file", str(config),
            "--extra-files", str(inside), "--export-path", str(made), "--archive-format", "zip-store", "--force",
        ]  # fmt: skip
        # it gathers files under TMPDIR/<model name>, where two archivers at once would meet
        done = subprocess.run(
            [sys.executable, "-m", "model_archiver.model_packaging", *words],
            capture_output=True, text=True, check=False, timeout=ARCHIVER_SECONDS,
            env={**os.environ, "TMPDIR": scratch},
        )  # fmt: skip
        written = made / f"{stem}.mar"
        if done.returncode != 0 or not written.is_file():
            reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(f"torch-model-archiver failed: {reason}")
        return written.replace(out / written.name)
