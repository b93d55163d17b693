"""Weights alone are no code: no module that a bundle names is imported for them."""

import sys
from types import SimpleNamespace

import pytest

from okkhor.errors import InputError
from okkhor.serving.weights import TARGET, net_from_weights


def test_a_network_of_ones_own_is_refused_and_its_module_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "own_trap.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.setenv("OKKHOR_ROOT", str(tmp_path))
    bundle = SimpleNamespace(model={"_target_": TARGET, "backbone": "python/own_trap.Net"})
    with pytest.raises(InputError, match=r"format=safetensors: .*python/own_trap\.Net; expected another format"):
        net_from_weights(bundle, tmp_path / "model.safetensors")
    assert "own_trap" not in sys.modules
