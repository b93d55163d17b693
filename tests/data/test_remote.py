"""The same files read from s3://, out of a server that stands in for Amazon's."""

import numpy as np
import pytest

from okkhor.data.store import competition_store
from okkhor.errors import InputError

pytestmark = pytest.mark.serial


def upload(client, folder, prefix="data"):
    for path in folder.iterdir():
        if path.is_file():
            client.upload_file(str(path), "letters", f"{prefix}/{path.name}")


def test_a_store_from_s3_equals_one_from_disk(written, bucket, tmp_path):
    data = written(rows=(7, 5), test_rows=(2,))
    upload(bucket, data.folder)
    options = {"size": data.size, "cache_dir": tmp_path / "cache", "progress": False}
    store = competition_store("s3://letters/data", data.heads, **options)
    assert store.path.parent == tmp_path / "cache"
    assert np.array_equal(store.images, data.images)
    assert np.array_equal(store.labels, data.labels)
    assert store.image_ids == data.ids
    assert competition_store("s3://letters/data/", data.heads, **options).path == store.path
    assert len(competition_store("s3://letters/data", data.heads, split="test", **options)) == 2


def test_a_store_from_s3_goes_to_the_home_cache(written, bucket, tmp_path):
    data = written(rows=(3, 3))
    upload(bucket, data.folder)
    store = competition_store("s3://letters/data", data.heads, size=data.size, progress=False)
    assert store.path.parent == tmp_path / "home" / ".cache" / "okkhor"


def test_refusals_name_the_object(written, bucket, tmp_path):
    data = written(rows=(7, 5))
    (data.folder / "train_image_data_1.parquet").write_bytes(b"x" * 500)
    upload(bucket, data.folder)
    options = {"size": data.size, "cache_dir": tmp_path / "cache", "progress": False}
    with pytest.raises(InputError, match=r"s3://letters/data/train_image_data_1\.parquet: cannot be read as Parquet"):
        competition_store("s3://letters/data", data.heads, **options)
    bucket.delete_object(Bucket="letters", Key="data/train.csv")
    with pytest.raises(InputError, match=r"s3://letters/data/train\.csv: no such file"):
        competition_store("s3://letters/data", data.heads, **options)
    with pytest.raises(InputError, match=r"data\.dir=s3://letters/nothing: "):
        competition_store("s3://letters/nothing", data.heads, **options)
    with pytest.raises(InputError, match=r"data\.dir=s3://no-such-bucket/data: "):
        competition_store("s3://no-such-bucket/data", data.heads, **options)
