"""What a job costs: from the user's own table, else from AWS's price list, else unknown. No number is invented.

https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/price-changes.html
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from okkhor.launching.sagemaker.account import Account
from okkhor.launching.sagemaker.options import Options

PRICE_LIST_REGION = "us-east-1"  # the price list is not served everywhere; it knows all regions
PATIENCE = 5  # seconds for a connection: nothing waits for a price


@dataclass(frozen=True)
class Price:
    """Dollars an hour of one machine on demand; source: who says so."""

    hourly: float
    source: str


def find_price(options: Options, account: Account) -> Price | None:
    """The price of `launcher.instance_type` for training; None where nobody knows it."""
    if (told := (options.prices or {}).get(options.instance_type)) is not None:
        return Price(float(told), "launcher.prices")
    return ask_price_list(account, options.instance_type)


def ask_price_list(account: Account, instance_type: str) -> Price | None:
    """What AWS's price list says; None without credentials, without the right to ask, or without a single answer."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    filters = {"regionCode": account.region, "instanceName": instance_type}
    try:
        if account.boto.get_credentials() is None:
            return None
        client = account.boto.client(
            "pricing",
            region_name=PRICE_LIST_REGION,
            config=Config(connect_timeout=PATIENCE, read_timeout=PATIENCE, retries={"max_attempts": 1}),
        )
        answers = client.get_products(
            ServiceCode="AmazonSageMaker",
            Filters=[{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in filters.items()],
        )
    except (BotoCoreError, ClientError):
        return None
    found = training_prices(map(json.loads, answers.get("PriceList", [])), instance_type)
    return Price(found.pop(), "AWS's price list") if len(found) == 1 else None


def training_prices(products: Iterable[Mapping[str, Any]], instance_type: str) -> set[float]:
    """The hourly prices on demand, in dollars, that training on an instance has in these entries of the price list."""
    prices = set()
    for product in products:
        attributes = product.get("product", {}).get("attributes", {})
        words = f"{attributes.get('component', '')} {attributes.get('usagetype', '')}"
        if attributes.get("instanceName") != instance_type or "Train" not in words or "Spot" in words:
            continue
        for term in product.get("terms", {}).get("OnDemand", {}).values():
            for dimension in term.get("priceDimensions", {}).values():
                dollars = dimension.get("pricePerUnit", {}).get("USD")
                if str(dimension.get("unit", "")).lower() in ("hrs", "hours", "hour") and dollars and float(dollars):
                    prices.add(float(dollars))
    return prices


def cost(options: Options, price: Price | None, hosts: int) -> str:
    """One line: what an hour costs, and at most the whole job."""
    machines = f"{hosts} × {options.instance_type}"
    hours = options.max_run / 3600
    if price is None:
        return (
            f"price unknown  {machines}, at most {hours:g} h (launcher.prices={{{options.instance_type}: …}} tells it)"
        )
    hourly = price.hourly * hosts
    at_most = f"${hourly:.3f} an hour, at most ${hourly * hours:.2f} in launcher.max_run={options.max_run} s"
    spot = "; on demand, spot is cheaper by a share that nobody knows before" if options.spot else ""
    warm = f"; warm machines cost the same, up to {options.keep_alive} s more" if options.keep_alive else ""
    return f"{at_most}  {machines} at ${price.hourly:g} by {price.source}{spot}{warm}"
