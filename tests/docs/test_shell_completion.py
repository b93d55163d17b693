"""docs/shell_completion.md in a real bash: its block is evaluated, and Tab is what bash makes of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")

TYPED = {
    "python train.py aug=cut": {"aug=cutmix", "aug=cutout", "aug=cutmix_mixup"},
    "python train.py -m seed=1,2 launcher=s": {"launcher=slurm", "launcher=sagemaker"},
    "python train.py trainer.max_ep": {"trainer.max_epochs="},
}


def test_tab_completes_groups_choices_and_options():
    page = (ROOT / "docs" / "shell_completion.md").read_text(encoding="utf-8")
    block = page.partition("```sh\n")[2].partition("```")[0].replace("source .venv/bin/activate\n", "")
    assert "eval" in block
    presses = "".join(
        f"COMP_LINE={line!r} COMP_POINT={len(line)} COMP_CWORD={len(line.split()) - 1}; COMPREPLY=()\n"
        'hydra_bash_completion; echo "${COMPREPLY[@]}"\n'
        for line in TYPED
    )
    script = f'{block}\ncomplete -p python\n{presses}eval "$(python train.py -sc uninstall=bash)"\n'
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/nonexistent"},
    )  # fmt: skip
    rule, *answers = done.stdout.splitlines()
    assert rule.endswith("-F hydra_bash_completion python")
    assert [set(answer.split()) for answer in answers[: len(TYPED)]] == list(TYPED.values())
    assert done.stderr == ""
