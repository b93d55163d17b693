"""Ask a running server what it reads in images.

python scripts/invoke.py image.png more.jpg
python scripts/invoke.py image.png --url http://127.0.0.1:8080/predictions/okkhor --top 3 --explain
python scripts/invoke.py image.png --endpoint okkhor [--model NAME]   # a SageMaker endpoint, see scripts/deploy.py
python scripts/invoke.py image.png --endpoint okkhor --async --timeout 600
cat image.png | python scripts/invoke.py - --json
"""

import argparse
import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

DEFAULT = "http://127.0.0.1:8080/predictions/okkhor"
TOKEN = "OKKHOR_TOKEN"
MOST_SECONDS = 86_400


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="PNG, JPEG, WebP or .npy files; - reads stdin")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--url", default=DEFAULT, help=f"of the model; default: {DEFAULT}")
    place.add_argument("--endpoint", metavar="NAME", help="a SageMaker endpoint; credentials as boto3 finds them")
    parser.add_argument("--model", metavar="NAME", help="of an endpoint of several models: which")
    parser.add_argument("--async", action="store_true", dest="later", help="of an endpoint of --mode async")
    parser.add_argument("--token", default=os.environ.get(TOKEN), help=f"of a server that asks for one; or set {TOKEN}")
    parser.add_argument("--top", type=int, default=5, help="classes to show of each head; default: 5")
    parser.add_argument("--explain", action="store_true", help="also show where the model looked")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="default: 30")
    parser.add_argument("--json", action="store_true", help="print the server's answers as they came, one a line")
    arguments = parser.parse_args()

    from okkhor.errors import InputError
    from okkhor.serving.client import ask_endpoint, ask_later, ask_url
    from okkhor.serving.showing import show

    if not 0 < arguments.timeout < MOST_SECONDS:
        raise InputError(f"--timeout={arguments.timeout:g}: expected seconds, more than 0, less than {MOST_SECONDS:,}")
    for option, given in {"--model": arguments.model, "--async": arguments.later}.items():
        if given and not arguments.endpoint:
            raise InputError(f"{option}: goes with --endpoint NAME")
    if arguments.model and arguments.later:
        raise InputError("--model: an asynchronous endpoint has one model; leave it out, or --async")
    bodies = [(name, _read(name)) for name in arguments.images]
    refused = 0
    for name, image in bodies:
        question = {"image": base64.b64encode(image).decode(), "top": arguments.top, "explain": arguments.explain}
        if arguments.later:
            status, answer = ask_later(arguments.endpoint, question, timeout=arguments.timeout)
        elif arguments.endpoint:
            told = {"model": arguments.model, "timeout": arguments.timeout}
            status, answer = ask_endpoint(arguments.endpoint, question, **told)
        else:
            status, answer = ask_url(arguments.url, question, token=arguments.token, timeout=arguments.timeout)
        refused += status >= 400
        if arguments.json:
            print(json.dumps(answer, ensure_ascii=False))
        elif status >= 400:
            print(f"error: {name}: {_refusal(status, answer)}", file=sys.stderr, flush=True)
        else:
            show(answer, name if len(bodies) > 1 else "")
    return 1 if refused else 0


def _read(name: str) -> bytes:
    from okkhor.errors import InputError

    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"{name}: {error.strerror}; expected an image file, or - for stdin") from error
    if not data:
        raise InputError(f"{name}: empty; expected an image file")
    return data


def _refusal(status: int, answer: dict[str, Any]) -> str:
    said = answer.get("message") or json.dumps(answer, ensure_ascii=False)
    return f"{status} {answer.get('type', '')}: {said}".replace("\n", " ")


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        sys.exit(main())
