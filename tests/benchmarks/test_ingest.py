import json
import sys

import numpy as np
import psutil
import pytest

from okkhor.benchmarks.ingest import anonymous, observed
from okkhor.data.store import Store


def test_a_process_of_its_own_builds_the_store_and_is_watched(wide, tmp_path):
    task = json.dumps({"heads": wide.heads.to_config(), "size": wide.size})
    seconds, megabytes = observed("store", str(wide.folder), str(tmp_path / "stores"), task)
    assert seconds > 0
    assert 1 < megabytes < 2000
    (description,) = (tmp_path / "stores").glob("*/store.json")
    assert np.array_equal(Store.open(description.parent).images, wide.images)


def test_so_is_one_that_reads_a_frame(wide):
    seconds, megabytes = observed("frame", str(wide.folder / "train_image_data_0.parquet"))
    assert seconds > 0
    assert 1 < megabytes < 2000


def test_a_process_that_fails_is_no_measurement(wide, capfd):
    with pytest.raises(RuntimeError, match="nowhere"):
        observed("frame", str(wide.folder / "nowhere.parquet"))
    assert "nowhere" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere psutil's own `uss` is used")
def test_anonymous_memory_is_what_was_allocated_and_not_what_was_mapped(tmp_path):
    path, megabytes = tmp_path / "mapped", 64
    np.ones(megabytes << 20, np.uint8).tofile(path)
    process = psutil.Process()
    before = anonymous(process)
    mapped = np.memmap(path, np.uint8, "r")
    assert mapped.sum() == megabytes << 20
    with_map = anonymous(process)
    allocated = np.ones(megabytes << 20, np.uint8)
    with_both = anonymous(process)
    assert with_map - before < 16 << 20
    assert with_both - with_map > (megabytes - 16) << 20
    assert len(allocated) == len(mapped)
