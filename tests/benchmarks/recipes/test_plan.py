"""The rows of the bench: every one composes, and what cannot be is refused by name."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from okkhor.benchmarks.recipes.plan import read_plan
from okkhor.errors import InputError
from okkhor.training.options import check_options

ROOT = Path(__file__).resolve().parents[3]
PLAN = read_plan()
AUGMENTATIONS = {path.stem for path in (ROOT / "configs" / "aug").glob("*.yaml")} - {"views"}  # for pretraining
LOSSES = {path.stem for path in (ROOT / "configs" / "model" / "loss").glob("*.yaml")}


@pytest.mark.parametrize("row", [row for row in PLAN.rows if row.trains], ids=lambda row: row.name)
def test_every_row_composes(row, tmp_path):
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = compose("train", [*row.words, f"data.dir={tmp_path}", f"paths.runs={tmp_path}"])
    check_options(config)


def test_every_augmentation_and_loss_has_a_row():
    words = {word for row in PLAN.rows for word in row.words}
    assert {word.removeprefix("aug=") for word in words if word.startswith("aug=")} == AUGMENTATIONS
    assert {w.removeprefix("model/loss=") for w in words if w.startswith("model/loss=")} >= LOSSES - {"cross_entropy"}


def test_the_baseline_has_three_seeds_that_differ_in_nothing_else():
    seeds = PLAN.of("baseline")
    assert len(seeds) == 3
    assert len({tuple(w for w in row.words if not w.startswith("seed=")) for row in seeds}) == 1
    assert len({w for row in seeds for w in row.words if w.startswith("seed=")}) == 3


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a: {group: none}", "rows.a.group"),
        ("a: {group: one, word: []}", "rows.a.word"),
        ("a: {group: one, against: b}", "rows.a.against"),
        ("a: {group: one, evaluate: [x=1]}", "rows.a.evaluate"),
    ],
)
def test_a_row_that_cannot_be_is_refused_by_name(rows, said, tmp_path):
    file = tmp_path / "rows.yaml"
    file.write_text("groups: {one: {heading: One}}\nrows: {" + rows + "}\n")
    with pytest.raises(InputError, match=said):
        read_plan(file)


def test_rows_are_chosen_by_name_and_by_group_in_the_order_of_the_plan():
    assert PLAN.chosen([]) == list(PLAN.rows)
    last = PLAN.of("augmentation")[0].name
    assert PLAN.chosen([last, "baseline"]) == [*PLAN.of("baseline"), PLAN.row(last)]
    with pytest.raises(InputError, match="--only: no row or group 'nothing'"):
        PLAN.chosen(["nothing"])
