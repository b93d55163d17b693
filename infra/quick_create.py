"""Links that open the console with infra/cloudformation.yaml filled in, for those who have no command line of AWS.

python infra/quick_create.py --bucket NAME --repository https://github.com/YOU/okkhor.git
python infra/quick_create.py --bucket NAME --upload        # sends the template there first

CloudFormation reads a template from S3 alone, with the rights of who opens the link: the bucket is yours.
"""

import argparse
import re
from pathlib import Path
from urllib.parse import quote, urlencode

TEMPLATE = Path(__file__).resolve().parent / "cloudformation.yaml"
REGIONS = ("ap-northeast-2", "us-east-1", "us-east-2", "us-west-1", "us-west-2")
KEY = "okkhor/cloudformation.yaml"
BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")  # with a dot in it, its name would not fit S3's certificate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bucket", required=True, metavar="NAME", help="that holds the template")
    parser.add_argument("--stack", default="okkhor", metavar="NAME", help="of the stack; default: okkhor")
    parser.add_argument(
        "--repository", metavar="URL", help="that the notebook clones; without one there is no notebook"
    )
    parser.add_argument("--upload", action="store_true", help="send the template to the bucket")
    arguments = parser.parse_args()

    from okkhor.errors import InputError

    if not BUCKET.fullmatch(arguments.bucket):
        raise InputError(f"--bucket={arguments.bucket}: expected the name of a bucket, without dots")
    if arguments.upload:
        upload(arguments.bucket)
    for region in REGIONS:
        print(f"{region:15} {link(region, arguments.bucket, arguments.stack, arguments.repository)}")


def link(region: str, bucket: str, stack: str, repository: str | None) -> str:
    """The address that creates a stack in a region; the bucket may lie in another."""
    given = {"templateURL": f"https://{bucket}.s3.amazonaws.com/{KEY}", "stackName": stack}
    chosen = {"DefaultCodeRepository": repository} if repository else {"Notebook": "no"}
    given |= {f"param_{name}": value for name, value in chosen.items()}
    console = f"https://{region}.console.aws.amazon.com/cloudformation/home?region={region}"
    return f"{console}#/stacks/quickcreate?{urlencode(given, quote_via=quote, safe='')}"


def upload(bucket: str) -> None:
    """Send the template. Raises InputError for what AWS refuses."""
    from okkhor.aws.calling import client, one_line, open_session

    with one_line(f"--bucket={bucket}"):
        client(open_session(), "s3").put_object(Bucket=bucket, Key=KEY, Body=TEMPLATE.read_bytes())


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
