"""A report program that runs away: it computes without end, or for BURN_S_MAX if nobody stops it."""

import argparse
import time

BURN_S_MAX = 300.0


def main() -> None:
    """Use one whole processor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="only to be told apart in a process list")
    parser.parse_args()
    end = time.monotonic() + BURN_S_MAX
    total = 0
    while time.monotonic() < end:
        for number in range(100_000):
            total ^= number * number


if __name__ == "__main__":
    main()
