import pytest
from PIL import Image


def test_a_picture_of_the_chosen_augmentation(command, synthetic_dir, tmp_path):
    out = tmp_path / "new" / "grid.png"
    words = ["aug=cutmix", "data=bengali", f"data.dir={synthetic_dir}", "--rows", "2", "--columns", "3"]
    done = command("scripts/show_augmentation.py", *words, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out)
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("L").getcolors()) > 20


@pytest.mark.parametrize(
    ("words", "said"), [(["aug=cutmx"], "aug=cutmx: no such choice"), (["--rows", "0"], "--rows, --columns: expected")]
)
def test_a_mistake_is_one_line(command, words, said):
    done = command("scripts/show_augmentation.py", *words)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr
