"""What a job costs: told, asked of AWS's price list, or unknown; never invented."""

import json

import pytest

pytest.importorskip("boto3", reason="launcher=sagemaker is an extra: pip install -e '.[sagemaker]'")

from botocore.stub import Stubber

from okkhor.launching.sagemaker import prices
from okkhor.launching.sagemaker.account import Account
from okkhor.launching.sagemaker.options import Options

ACCOUNT = Account("eu-west-1", "arn:aws:iam::123456789012:role/Name", "bucket", "okkhor")


def product(name, component, dollars, usage="EU-Train:ml.g5.xlarge", unit="Hrs"):
    """An entry of the price list, in the form that GetProducts documents."""
    return {
        "product": {"attributes": {"instanceName": name, "component": component, "usagetype": usage}},
        "terms": {"OnDemand": {"A": {"priceDimensions": {"B": {"unit": unit, "pricePerUnit": {"USD": dollars}}}}}},
    }


@pytest.fixture
def price_list(monkeypatch):
    """price_list(products) -> they are what AWS answers; the parameters that it is asked with are checked."""

    def answer(products):
        client = ACCOUNT.boto.client("pricing", region_name="us-east-1")
        stubber = Stubber(client)
        filters = [
            {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "eu-west-1"},
            {"Type": "TERM_MATCH", "Field": "instanceName", "Value": "ml.g5.xlarge"},
        ]
        stubber.add_response(
            "get_products",
            {"PriceList": [json.dumps(one) for one in products]},
            {"ServiceCode": "AmazonSageMaker", "Filters": filters},
        )
        stubber.activate()
        monkeypatch.setattr(type(ACCOUNT.boto), "client", lambda *_, **__: client)

    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}.items():
        monkeypatch.setenv(name, value)
    return answer


def test_the_user_s_table_comes_first_and_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(prices, "ask_price_list", lambda *_: pytest.fail("AWS was asked"))
    found = prices.find_price(Options(prices={"ml.g5.xlarge": 1.5}), ACCOUNT)
    assert (found.hourly, found.source) == (1.5, "launcher.prices")


def test_the_price_of_training_is_taken_and_no_other(price_list):
    price_list([
        product("ml.g5.xlarge", "Hosting", "9.9", "EU-Host:ml.g5.xlarge"),
        product("ml.g5.xlarge", "Training", "1.57"),
        product("ml.g5.xlarge", "Training", "0.5", "EU-SpotTrain:ml.g5.xlarge"),
        product("ml.g5.2xlarge", "Training", "3.0"),
        product("ml.g5.xlarge", "Training", "0.0"),
        product("ml.g5.xlarge", "Training", "7.0", unit="GB"),
    ])  # fmt: skip
    found = prices.find_price(Options(), ACCOUNT)
    assert (found.hourly, found.source) == (1.57, "AWS's price list")


@pytest.mark.parametrize("products", [[], [("Training", "1.5"), ("Training", "1.6")], [("Notebook", "1.5")]])
def test_no_answer_or_several_are_no_price(price_list, products):
    usage = {"Notebook": "EU-Notebk:ml.g5.xlarge"}
    price_list([product("ml.g5.xlarge", name, dollars, usage.get(name, "EU-Train:x")) for name, dollars in products])
    assert prices.find_price(Options(), ACCOUNT) is None


def test_without_credentials_nobody_is_asked(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    fresh = Account(ACCOUNT.region, ACCOUNT.role, ACCOUNT.bucket, ACCOUNT.prefix)
    monkeypatch.setattr(type(fresh.boto), "client", lambda *_, **__: pytest.fail("AWS was asked"))
    assert prices.find_price(Options(), fresh) is None


def test_what_is_said():
    options = Options(instance_type="ml.g5.xlarge", max_run=7200)
    told = prices.cost(options, prices.Price(1.5, "launcher.prices"), 2)
    assert (
        told == "$3.000 an hour, at most $6.00 in launcher.max_run=7200 s  2 × ml.g5.xlarge at $1.5 by launcher.prices"
    )
    assert prices.cost(options, None, 2).startswith("price unknown  2 × ml.g5.xlarge, at most 2 h")
    spot = prices.cost(Options(spot=True), prices.Price(1.5, "launcher.prices"), 1)
    assert "spot is cheaper" in spot
