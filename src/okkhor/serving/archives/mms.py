"""Multi Model Server's model archive: <name>-<version>-<format>.mar, a ZIP with a manifest.

Written here, since its archiver and TorchServe's are two packages with the same module name.
"""

import json
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from okkhor.errors import InputError
from okkhor.serving.archives.contents import lay_out
from okkhor.serving.bundle import Bundle

SERVICE = Path(__file__).resolve().parents[4] / "serve" / "mms" / "service.py"
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def write_mms(bundle: Bundle, format: str, out: Path, *, name: str | None = None, version: str | None = None) -> Path:
    """Write the archive into the folder `out`; one of the same name is replaced.

    name, version: that the model is served under; default: the bundle's.
    Raises InputError when the bundle lacks the format, and for a name that cannot stand in a URL.
    """
    name, version = name or bundle.name, version or str(bundle.version)
    if not PLAIN.fullmatch(name):
        raise InputError(f"name={name}: expected letters, digits, dots, dashes and underscores, a letter first")
    out.mkdir(parents=True, exist_ok=True)
    manifest = {
        "runtime": "python",
        "model": {"modelName": name, "handler": "service.py:handle", "modelVersion": version},
        "implementationVersion": "1.0",
        "specificationVersion": "1.0",
        "modelServerVersion": "1.0",
    }
    with tempfile.TemporaryDirectory(prefix=".archiving-", dir=out) as scratch:
        inside, written = Path(scratch) / "inside", Path(scratch) / f"{name}-{version}-{format}.mar"
        inside.mkdir()
        files = lay_out(bundle, format, inside, name=name, version=version)
        shutil.copyfile(SERVICE, inside / "service.py")
        with zipfile.ZipFile(written, "w") as archive:
            archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest, indent=2))
            for path, file in sorted({**files, "service.py": inside / "service.py"}.items()):
                archive.write(file, path)
        return written.replace(out / written.name)
