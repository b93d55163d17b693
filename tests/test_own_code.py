"""Classes of one's own are found where they should be, and what goes wrong with them is said in one line."""

import sys

import pytest
from omegaconf import OmegaConf
from torch import nn

from okkhor.build import build
from okkhor.errors import InputError
from okkhor.own_code import own_class

KEY = "model.backbone"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project's folder of its own, which this process forgets again."""
    monkeypatch.setenv("OKKHOR_ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("own_"):
            del sys.modules[name]


def test_a_class_in_a_module_or_a_package_of_the_projects_folder_is_found(project):
    (project / "own_flat.py").write_text("from torch import nn\nclass Net(nn.Linear): ...\n")
    (project / "own_package").mkdir()
    (project / "own_package" / "nets.py").write_text("from torch import nn\nclass Net(nn.Conv2d): ...\n")
    assert issubclass(own_class("own_flat.Net", nn.Module, KEY), nn.Linear)
    assert issubclass(own_class("own_package.nets.Net", nn.Module, KEY), nn.Conv2d)


def test_a_module_of_the_projects_folder_hides_no_installed_one(project):
    (project / "colorsys.py").write_text("raise RuntimeError('taken for the standard library')\n")
    sys.modules.pop("colorsys", None)
    with pytest.raises(InputError, match=r"colorsys has no Net"):
        own_class("colorsys.Net", nn.Module, KEY)


@pytest.mark.parametrize(
    ("text", "dotted", "said"),
    [
        ("", "Net", r"'Net' names no class; expected <module>\.<Class>"),
        ("", "own_bad.", r"names no class"),
        ("", "own_missing.Net", r"no module 'own_missing' here; expected own_missing\.py beside train\.py"),
        ("", "own_bad.deeper.Net", r"no module 'own_bad\.deeper' here"),
        ("class Nett: ...", "own_bad.Net", r"own_bad has no Net; did you mean Nett\?"),
        ("import own_elsewhere", "own_bad.Net", r"cannot be imported: ModuleNotFoundError: .*own_elsewhere.*own_bad"),
        ("x = 1\nNet = y\n", "own_bad.Net", r"cannot be imported: NameError: .*\(own_bad\.py:2\)"),
        ("class Net(:\n", "own_bad.Net", r"cannot be imported: SyntaxError: .*\(own_bad\.py:1\)"),
        ("class Net: ...", "own_bad.Net", r"own_bad\.Net is no such class; expected one derived of Module"),
        ("def Net(): ...", "own_bad.Net", r"expected one derived of Module"),
    ],
    ids=[
        "no-module",
        "no-name",
        "missing",
        "no-package",
        "misspelt",
        "needs-more",
        "fails",
        "syntax",
        "other",
        "function",
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line_that_names_key_and_place(project, text, dotted, said):
    (project / "own_bad.py").write_text(text)
    with pytest.raises(InputError, match=rf"^{KEY}: .*{said}") as refused:
        own_class(dotted, nn.Module, KEY)
    assert "\n" not in str(refused.value)


def test_a_target_of_the_configuration_may_be_a_class_of_ones_own(project):
    (project / "own_target.py").write_text(
        "class Pair:\n    def __init__(self, left, right=2):\n        self.left = left\n"
    )
    assert build(OmegaConf.create({"_target_": "own_target.Pair", "left": 7}), "aug.batch").left == 7
    with pytest.raises(InputError, match=r"^aug\.batch\.lefd: no such option of Pair; did you mean aug\.batch\.left\?"):
        build(OmegaConf.create({"_target_": "own_target.Pair", "lefd": 7}), "aug.batch")
