import pytest

from okkhor.atomic import replacing, write_atomically


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    write_atomically(path, "old")
    with pytest.raises(TypeError):
        write_atomically(path, None)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_body_that_raises_leaves_nothing(tmp_path):
    def half_written():
        with replacing(tmp_path / "x.csv") as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        half_written()
    assert not list(tmp_path.iterdir())
