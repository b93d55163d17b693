"""The fixture `aws`: see the package's page."""

from collections.abc import Iterator

import pytest


@pytest.fixture
def aws(monkeypatch) -> "Iterator[LocalAws]":  # noqa: F821 - moto is loaded by the tests that use it alone
    """A fresh account of the local AWS, its environment in os.environ; skipped where there are no namespaces."""
    pytest.importorskip("moto", reason="the local AWS is moto: pip install -e '.[dev]'")
    from aws.hosts import can_unshare
    from aws.server import LocalAws

    if why := can_unshare():
        pytest.skip(why)
    made = LocalAws()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SAGEMAKER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    yield made
    made.close()
