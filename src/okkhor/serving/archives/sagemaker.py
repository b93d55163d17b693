"""SageMaker's model archive: model.tar.gz with bundle/ and code/, which its inference toolkit for PyTorch serves."""

import gzip
import shutil
import tarfile
import tempfile
from pathlib import Path

from okkhor.serving.archives.contents import lay_out
from okkhor.serving.bundle import Bundle

ENTRY = Path(__file__).resolve().parents[4] / "serve" / "sagemaker" / "inference.py"
NEEDS = ("opencv-python-headless", "pillow", "pyyaml")  # installed by the toolkit when an endpoint starts
FORMAT_NEEDS = {"onnx": ("onnxruntime",), "onnx_int8": ("onnxruntime",), "safetensors": ("safetensors", "timm")}


def write_sagemaker(
    bundle: Bundle, format: str, out: Path, *, name: str | None = None, version: str | None = None
) -> Path:
    """Write `model.tar.gz` into the folder `out`, the same bytes for the same bundle; one that is there is replaced.

    Raises InputError when the bundle lacks the format.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".archiving-", dir=out) as scratch:
        inside, written = Path(scratch) / "inside", Path(scratch) / "model.tar.gz"
        inside.mkdir()
        files = lay_out(bundle, format, inside, name=name, version=version)
        shutil.copyfile(ENTRY, inside / "inference.py")
        needs = sorted({*NEEDS, *FORMAT_NEEDS.get(format, ())})
        (inside / "requirements.txt").write_text("\n".join(needs) + "\n", encoding="utf-8")
        files |= {plain: inside / plain for plain in ("inference.py", "requirements.txt")}
        with (
            written.open("wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w") as archive,
        ):
            for path, file in sorted(files.items()):
                archive.add(file, path if path.startswith("bundle/") else f"code/{path}", filter=_plain)
        return written.replace(out / written.name)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without owner and time, which differ from machine to machine."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry
