"""Same seed, same curve: where a run is computed, and how many workers feed it, changes no digit."""

from importlib.util import find_spec

import pytest

from okkhor.runs import Run

pytestmark = pytest.mark.serial
WORDS = ["aug=light", "seed=7", "model.dropout=0.1"]
PLACES = {
    "several workers": ["data.workers=2"],
    "a job of a sweep": ["-m", "data.workers=1"],
    "jobs at the same time": ["-m", "launcher.n_jobs=2", "data.workers=0,1"],
    "slurm": ["launcher=slurm", "launcher.cluster=local"],
    "ray": ["launcher=ray"],
}


@pytest.fixture(scope="module")
def curves():
    return {}


@pytest.fixture
def curve(command, tiny, tmp_path):
    def train(*words):
        words = sorted(words, key=lambda word: not word.startswith("-"))
        done = command("train.py", *words, *[word for word in tiny if not word.startswith("data.workers")], *WORDS)
        assert done.returncode == 0, done.stderr
        runs = [Run.open(path.parent) for path in (tmp_path / "runs").glob("**/metrics.json")]
        assert runs
        (text,) = {(run.logs / "metrics.csv").read_text() for run in runs}
        return text

    return train


@pytest.mark.parametrize("place", PLACES)
def test_the_curve_is_that_of_a_plain_run(curve, curves, place):
    if place in ("slurm", "ray") and not find_spec({"slurm": "submitit"}.get(place, place)):
        pytest.skip(f"the extra {place} is not installed")
    if "plain" not in curves:
        curves["plain"] = curve("data.workers=0", "name=plain")
        assert curves["plain"].count("\n") > 2
    assert curve(*PLACES[place]) == curves["plain"]
