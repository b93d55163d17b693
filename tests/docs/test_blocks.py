"""Reading the blocks of a page, running them, comparing what is seen with what should be."""

import sys

import pytest

from docs.blocks import Project, missing_lines, read_blocks

PAGE = """\
# A page

```sh
echo one
```

```text
one
```

Words, and then

<!-- not run: needs a GPU -->
```sh
python train.py trainer=gpu
```

```text
never compared
```

- in a list:

  ```python
  print(1)
  ```

```yaml
# configs/aug/mine.yaml
image: []
```

````text
```sh
no block of its own
```
````
"""


def test_blocks_have_their_language_line_reason_and_what_should_be_seen():
    first, seen, gpu, _, python, yaml, nested = read_blocks(PAGE)
    assert (first.language, first.text, first.line, first.lines) == ("sh", "echo one\n", 3, 3)
    assert first.runs
    assert first.expected == "one\n"
    assert seen.language == "text"
    assert not seen.runs
    assert gpu.reason == "needs a GPU"
    assert not gpu.runs
    assert (python.language, python.text, python.line) == ("python", "print(1)\n", 24)
    assert python.runs
    assert python.expected == ""
    assert yaml.file == "configs/aug/mine.yaml"
    assert python.file is None
    assert "no block of its own" in nested.text


def test_a_reason_counts_for_the_block_after_it_alone():
    later = read_blocks("<!-- not run: why -->\n\nwords\n\n```sh\ntrue\n```\n")
    assert later[0].reason is None
    assert read_blocks("words\n<!-- not run:\ntwo\nlines -->\n```sh\ntrue\n```\n")[0].reason == "two lines"


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("score  0.943  weighted", "x\n  score   0.1 weighted macro recall\n"),
        ("time 5 min", "time 12 min"),
        ("run runs/default/2026-11-28_03-07-33", "run\truns/default/2027-01-02_11-22-33"),
        ("16,000 images", "500 images"),
        ("time …", "time 3 s"),
        ("a\n…\nb", "a\nc\nb"),
        ("(1.5) [x]", "(2) [x]"),
        ("0.5\n━━━ 3", "nothing at all"),
        ("gained -0.01", "gained +0.02"),
        ("ক 3", "ক 4"),
    ],
)
def test_numbers_and_dots_stand_for_anything(expected, output):
    assert missing_lines(expected, output) == []


@pytest.mark.parametrize(
    ("expected", "output", "missing"),
    [
        ("score 1", "source 1", ["score 1"]),
        ("a\nb", "b\na", ["b"]),
        ("one two", "one\ntwo", ["one two"]),
        ("a.b", "acb", ["a.b"]),
        ("epoch 1", "epoch one", ["epoch 1"]),
    ],
)
def test_words_do_not(expected, output, missing):
    assert missing_lines(expected, output) == missing


def test_commands_run_in_the_copy_with_its_code(project: Project):
    blocks = read_blocks(
        "```sh\nimport=$(python -c 'import okkhor; print(okkhor.__file__)')\necho $import\npwd\n```\n"
        "```python\nimport sys\nprint(sys.prefix)\n```\n"
        "```sh\nfalse\necho not reached\n```\n"
    )
    shell, python, failing = (project.run(block) for block in blocks)
    assert shell.stdout.split() == [str(project.root / "src/okkhor/__init__.py"), str(project.root)]
    assert python.returncode == 0
    assert failing.returncode == 1
    assert failing.stdout == ""


def test_what_a_command_leaves_running_is_found_and_ended(project: Project):
    (block,) = read_blocks(f"```sh\n{sys.executable} -c 'import time; time.sleep(100)' > /dev/null 2>&1 &\n```\n")
    project.run(block)
    (told,) = project.end_all()
    assert "time.sleep(100)" in told
    assert project.end_all() == []
