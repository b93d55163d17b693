"""The source that is sent: what git tracks and what is named, no secrets, not too much, equal bytes for equal files."""

import io
import random
import subprocess
import tarfile

import pytest

from okkhor.errors import InputError
from okkhor.launching.sagemaker.packing import canonical, follows_torch, left_behind, pack, requirements, source_files

AWS_KEY = "AKIA" + "QWERTYUIOPASDFGH"


@pytest.fixture
def source(tmp_path):
    """source(name, content, tracked) -> writes a file of a git repository; .folder is where."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)

    def write(name, content="x", *, tracked=True):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        if tracked:
            subprocess.run(["git", "-C", str(tmp_path), "add", "-f", name], check=True)
        return path

    write.folder = tmp_path
    write("train.py", "print()")
    return write


def names(archive):
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as tar:
        return {entry.name: tar.extractfile(entry).read().decode(errors="replace") for entry in tar}


def test_what_git_tracks_is_sent_as_it_is_now(source):
    source("src/a b/ক.py", "old").write_text("new")
    source("left.txt", tracked=False)
    source("tests/test_x.py")
    source("gone.py").unlink()
    packed = pack(source.folder, max_mb=1, extra={"requirements-job.txt": "torch"})
    assert names(packed) == {"train.py": "print()", "src/a b/ক.py": "new", "requirements-job.txt": "torch"}
    assert str(packed).startswith("3 files, ")


def test_the_same_files_are_the_same_archive_and_others_another(source):
    one = pack(source.folder, max_mb=1)
    (source.folder / "train.py").touch()
    assert pack(source.folder, max_mb=1).content == one.content
    source("train.py", "print(1)")
    assert pack(source.folder, max_mb=1).name != one.name


def test_what_is_left_behind_unseen_is_named(source):
    source(".gitignore", "ignored.py")
    source("src/new.py", tracked=False)
    source("src/ignored.py", tracked=False)
    source("notes.txt", tracked=False)
    assert left_behind(source.folder) == ["src/new.py"]


def test_files_and_folders_that_are_named_come_along_and_no_caches(source):
    source("configs/local/default.yaml", "a: 1", tracked=False)
    source("extra/deep/x.txt", tracked=False)
    source("extra/__pycache__/x.pyc", tracked=False)
    found = source_files(source.folder, ["configs/local/default.yaml", "extra"])
    assert set(found) == {"train.py", "configs/local/default.yaml", "extra/deep/x.txt"}


@pytest.mark.parametrize("wanted", ["nowhere", "../outside", "/etc/passwd"])
def test_what_is_named_has_to_be_there(source, wanted):
    with pytest.raises(InputError, match=r"launcher\.include"):
        pack(source.folder, [wanted], max_mb=1)


@pytest.mark.parametrize(
    "name", [".env", "conf/.env.local", "key.pem", "id_rsa", "aws/credentials", ".netrc", "kaggle.json", "secrets.yaml"]
)
@pytest.mark.parametrize("tracked", [True, False])
def test_a_secret_is_refused_by_its_name(source, name, tracked):
    source(name, tracked=tracked)
    with pytest.raises(InputError) as error:
        pack(source.folder, [] if tracked else [name], max_mb=1)
    assert str(error.value).startswith(f"{name}: looks like a secret")


@pytest.mark.parametrize("content", [f"a\nkey = '{AWS_KEY}'", "x\n-----BEGIN RSA " + "PRIVATE KEY-----\n"])
def test_a_secret_is_refused_by_what_it_holds(source, content):
    source("notes.txt", content)
    with pytest.raises(InputError, match=r"notes\.txt, line 2: holds a"):
        pack(source.folder, max_mb=1)


def test_an_example_of_a_secret_file_is_none(source):
    source(".env.example", "KEY=")
    assert ".env.example" in names(pack(source.folder, max_mb=1))


def test_too_much_is_refused_with_what_is_large(source):
    source("noise.txt", random.Random(0).randbytes(300_000).hex())
    with pytest.raises(InputError, match=r"launcher\.max_mb=0\.1: .* largest: noise\.txt \(0\.6 MB\)"):
        pack(source.folder, max_mb=0.1)


def test_outside_a_repository_it_says_so(tmp_path):
    with pytest.raises(InputError, match="no git repository"):
        source_files(tmp_path)


def test_the_project_itself_can_be_sent(train_py):
    packed = pack(train_py.parent, max_mb=5)
    inside = names(packed)
    assert {"train.py", "constraints.txt", "configs/train.yaml", "src/okkhor/launching/sagemaker/container.py"} <= set(
        inside
    )
    assert not any(name.startswith(("tests/", "docs/", ".git/")) for name in inside)


def test_the_job_installs_the_lock_less_what_the_image_brings():
    image = "torch==2.14.1\nTorchVision==0.29\nnvidia-cublas==1\ncuda-bindings==2\ntriton==3\n"
    lock = f"# a comment\n{image}numpy==2.4\nrich==15\n"
    wanted, pinned = requirements(
        ["torch>=2.9", "torchvision", "numpy>=2", "rich"], lock, brought=["torch", "torchvision"]
    )
    assert wanted.splitlines() == ["-c constraints-job.txt", "numpy>=2", "rich"]
    assert pinned.splitlines() == ["numpy==2.4", "rich==15"]


@pytest.mark.parametrize(
    ("line", "name"), [("A_b.C[x]>=1", "a-b-c"), ("ray[serve] >=2; python_version>'3'", "ray"), ("x @ https://y", "x")]
)
def test_names_are_compared_as_pypi_does(line, name):
    assert canonical(line) == name
    assert not follows_torch(line)
