"""scripts/invoke.py asks the real TorchServe."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.serial


@pytest.fixture
def invoke(server, tmp_path):
    script = str(Path(__file__).resolve().parents[2] / "scripts" / "invoke.py")
    url = f"http://127.0.0.1:{server.ports['inference']}/predictions/okkhor"

    def run(*words: str, stdin: bytes = b"", url: str = url) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, script, *words, "--url", url], input=stdin, capture_output=True, timeout=60, cwd=tmp_path
        )
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        return done

    return run


@pytest.fixture
def files(tmp_path, png) -> list[str]:
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    (tmp_path / "broken.png").write_bytes(png(0)[:100])
    return ["0.png", "1.png"]


def test_it_prints_what_the_predictor_says(invoke, files, predictor, drawn):
    done = invoke(*files, "--top", "3")
    assert (done.returncode, done.stderr) == (0, "")
    for name, answer in zip(files, predictor.predict([drawn(0), drawn(1)], top=3), strict=True):
        assert f"{name}\n" in done.stdout
        assert answer.grapheme in done.stdout
        for choice in answer.heads["root"]:
            assert f"{choice.text} ({choice.label})" in done.stdout
    assert done.stdout.count("sure · okkhor 1.0 (onnx)") == 2


def test_json_lines_are_the_server_s_answers(invoke, files, predictor, drawn):
    done = invoke(*files, "--json", "--explain", "--top", "2")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    expected = predictor.predict([drawn(0), drawn(1)], top=2)
    assert [answer["grapheme"] for answer in answers] == [one.grapheme for one in expected]
    assert [len(answer["heads"]["root"]) for answer in answers] == [2, 2]
    assert all("activation_maps" in answer for answer in answers)


def test_stdin_is_read_and_shades_show_where_it_looked(invoke, png):
    done = invoke("-", "--explain", stdin=png(0))
    assert done.returncode == 0
    assert "where it looked for consonant" in done.stdout
    assert "██" in done.stdout


def test_a_refused_image_leaves_the_others_answered(invoke, files):
    done = invoke("0.png", "broken.png", "1.png")
    assert done.returncode == 1
    assert done.stdout.count("sure · okkhor") == 2
    assert done.stderr == "error: broken.png: 400 NotAnImage: a PNG that is cut off\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.png"], "error: missing.png: No such file or directory; expected an image file"),
        (["0.png", "--timeout", "0"], "error: --timeout=0: expected seconds, more than 0"),
        (["0.png", "--timeout", "nan"], "error: --timeout=nan: expected seconds"),
    ],
)
def test_mistakes_end_in_one_line(invoke, files, words, said):
    done = invoke(*words)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_a_url_of_something_else_is_told_in_one_line(invoke, files, server):
    done = invoke("0.png", url=f"http://127.0.0.1:{server.ports['inference']}/ping")
    assert done.returncode == 2
    assert "answered 200 with" in done.stderr
    assert done.stderr.count("\n") == 1
