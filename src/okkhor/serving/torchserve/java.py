"""Java, which TorchServe's front end runs on, and the few classes of TorchServe that are mended here."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from okkhor.errors import InputError
from okkhor.serving.archives.torchserve import SERVE

MENDED = SERVE / "mended"  # TorchServe answers malformed forms 500, and overload in misleading words
COMPILE_SECONDS = 60


def find_java() -> str:
    """The `java` program; raises InputError when there is none."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if found is None:
        place = f"JAVA_HOME={home}" if home else "PATH"
        raise InputError(f"TorchServe needs Java 17, and {place} has no java; apt install openjdk-17-jdk-headless")
    return found


def find_jars() -> Path:
    """The folder of TorchServe's jar; raises InputError when TorchServe is not installed."""
    found = find_spec("ts")
    jars = Path(found.origin).parent / "frontend" if found and found.origin else None
    if jars is None or not jars.is_dir():
        raise InputError("TorchServe is not installed; pip install -e '.[serve]'")
    return jars


def mended_classes(java: str, jars: Path, folder: Path) -> bool:
    """Compile what stands before TorchServe's own classes into `folder`.

    False where Java came without its compiler: TorchServe then answers malformed forms 500, everything else is alike.
    """
    compiler = Path(java).with_name("javac")
    if not compiler.is_file():
        compiler = Path(java).resolve().with_name("javac")
    if not compiler.is_file():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    sources = [str(path) for path in sorted(MENDED.glob("*.java"))]
    words = [str(compiler), "-nowarn", "-cp", f"{jars}/*", "-d", str(folder), *sources]
    done = subprocess.run(words, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False)
    return done.returncode == 0
