"""The fixtures `aws`, `toolkit` and `hosting`: see the package's page."""

import shutil
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


@pytest.fixture
def toolkit() -> None:
    """Skips where SageMaker's inference toolkit is not installed."""
    from okkhor.errors import InputError
    from okkhor.serving.neighbors import python_of

    if shutil.which("java") is None:
        pytest.skip("needs Java: make setup-system")
    try:
        python_of("sagemaker")
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture
def hosting(aws, toolkit, monkeypatch) -> "Iterator[Hosting]":  # noqa: F821 - as above
    """Endpoints of the local AWS. When it ends, no process of a container is left."""
    from aws.endpoints import Hosting
    from okkhor.serving.neighbors import family

    monkeypatch.setattr("okkhor.serving.neighbors.START_SECONDS", 300)  # on a computer that is busy
    found = Hosting(aws)
    yield found
    found.close()
    assert not [process for container in found.containers for process in family(container.folder)]
