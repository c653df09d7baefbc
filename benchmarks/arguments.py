"""What the commands of the benchmarks have in common."""

import argparse
import datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("results")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Let the JSON file be named."""
    newest = RESULTS / f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H%M%S}.json"
    parser.add_argument("--output", type=Path, default=newest, help="the JSON file (results/<now>.json)")


def positive(text: str) -> int:
    """The type of an argument that counts something.

    :raises argparse.ArgumentTypeError: there is nothing to count.
    """
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
