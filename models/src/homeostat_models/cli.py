"""homeostat-models: record a machine, build the model, evaluate it.

Exit codes: 0 done, 1 could not be done (the reason is on stderr), 2 wrong usage. Bad input is never a traceback.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from homeostat.sample import Sample
from homeostat_models import datasets, packaging, session
from homeostat_models.datasets import ModelsError
from homeostat_models.evaluation import Evaluation, evaluate
from homeostat_models.training import fit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        chosen.run(chosen)
    except ModelsError as error:
        print(f"homeostat-models: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("homeostat-models: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="homeostat-models", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    record = commands.add_parser(
        "record",
        help="keep samples of this machine",
        description="Read samples, one JSON object a line as `homeostat-agent sample` prints them, and keep them.",
    )
    record.add_argument("--seconds", type=_seconds, help="stop after this much time in the samples (default: all)")
    record.add_argument("--out", type=Path, required=True, help="normal-NAME.jsonl[.gz] or fault-NAME.jsonl[.gz]")
    record.add_argument("--from", dest="source", type=Path, help="read this file (default: standard input)")
    record.set_defaults(run=_record)
    build = commands.add_parser("build", help="fit a model to recordings and write its two files")
    build.add_argument("--data", type=Path, required=True, help="folder of recordings")
    build.add_argument("--out", type=Path, required=True, help="folder for NAME-VERSION.onnx and .json")
    build.set_defaults(run=_build)
    judge = commands.add_parser("evaluate", help="measure a built model on what it has not seen")
    judge.add_argument("--data", type=Path, required=True, help="folder of recordings, the one it was built from")
    judge.add_argument("--model", type=Path, required=True, help="the .onnx file")
    judge.add_argument("-o", "--output", choices=("table", "json"), default="table")
    judge.set_defaults(run=_evaluate)
    return parser


def _seconds(text: str) -> timedelta:
    try:
        value = timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if value <= timedelta():
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _record(chosen: argparse.Namespace) -> None:
    where = str(chosen.source or "standard input")
    with _opened(chosen.source) as stream:
        count = datasets.write(chosen.out, _within(datasets.parse(stream, where), chosen.seconds))
    if not count:
        chosen.out.unlink(missing_ok=True)
        raise ModelsError(f"{where}: holds no sample")
    print(f"{chosen.out}: {count} samples")


def _opened(source: Path | None) -> AbstractContextManager[BinaryIO]:
    if source is None:
        return nullcontext(sys.stdin.buffer)
    try:
        return source.open("rb")
    except OSError as error:
        raise ModelsError(f"{source}: cannot be read: {error.strerror}") from error


def _within(samples: Iterator[Sample], span: timedelta | None) -> Iterator[Sample]:
    first: Sample | None = None
    for sample in samples:
        first = first or sample
        if span is not None and sample.at - first.at > span:
            return
        yield sample


def _build(chosen: argparse.Namespace) -> None:
    made = packaging.package(datasets.load(chosen.data))
    for path in packaging.write(made, chosen.out):
        print(path)


def _evaluate(chosen: argparse.Namespace) -> None:
    recordings = datasets.load(chosen.data)
    usual = fit(recordings).usual
    model = session.opened(chosen.model)
    figures = evaluate(model.score, model.prior, usual, recordings)
    print(json.dumps(figures.as_dict(), indent=2) if chosen.output == "json" else _table(figures))


def _table(figures: Evaluation) -> str:
    lines = [f"{figures.normal} normal samples kept back; shown falsely: {figures.shown_falsely} times"]
    for p_value, count in figures.at_most.items():
        lines.append(f"  p-value at most {p_value:>6}: {count:5d}  ({count / max(figures.normal, 1):.4f})")
    lines.append(f"{len(figures.faults)} fault recordings")
    for one in figures.faults:
        shown = "shown" if one.shown else "not shown"
        lines.append(f"  {one.fault:20} {one.alarms:4d} of {one.samples:4d} alarms, {shown}: {', '.join(one.features)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
