def test_find_prints_an_option_and_draws_what_was_tried(command, tiny, tmp_path):
    options = [*tiny, f"paths.reports={tmp_path / 'reports'}"]
    done = command("scripts/find.py", "lr", "--steps", "30", *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith(("optimizer.lr=", "the loss does not fall"))
    done = command("scripts/find.py", "batch_size", "--to", "32", *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("data.batch_size=32 ")
    assert {path.name for path in (tmp_path / "reports").iterdir()} == {"find-lr.png", "find-batch_size.png"}
    assert not (tmp_path / "runs").exists()


def test_a_mistake_is_said_in_one_line(command):
    done = command("scripts/find.py", "lr", "optimizer.lrr=1")
    assert done.returncode == 2
    assert done.stderr.strip() == "error: optimizer.lrr: no such option; did you mean optimizer.lr?"
