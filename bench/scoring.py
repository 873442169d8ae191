"""What the scoring path costs: memory as it is loaded, and CPU per score, each beside a bare Python floor.

    .venv/bin/python bench/scoring.py [--models build/models] [--scores 20000]

Every memory row is a process of its own that prints its RSS, PSS and USS. CPU time is that process's own, so neighbours
do not count; the floor for time is the same quadratic form over the same number of features in plain Python.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROWS = {
    "bare python": "",
    "+ what the path imports": "import homeostat_agent.decider.scoring",
    "+ onnxruntime's C library": """
from homeostat_agent.decider.onnx_library import OnnxLibrary
library = OnnxLibrary()""",
    "+ model and state: the path": """
from pathlib import Path
from homeostat_agent.decider.onnx_library import OnnxLibrary
from homeostat_agent.decider.scoring import OnnxScorer
library = OnnxLibrary()
scorer, notices = OnnxScorer.open(Path(MODELS), Path(STATE), library)
vector = scorer._prior.centre
[scorer.score(vector, learn=True) for _ in range(10)]""",
    "+ start-up code given back": """
from pathlib import Path
from homeostat_agent.code_pages import give_back
from homeostat_agent.decider.onnx_library import OnnxLibrary
from homeostat_agent.decider.scoring import OnnxScorer
library = OnnxLibrary()
scorer, notices = OnnxScorer.open(Path(MODELS), Path(STATE), library)
vector = scorer._prior.centre
give_back()
[scorer.score(vector, learn=True) for _ in range(10)]""",
    "onnxruntime's Python package": """
import onnxruntime
from pathlib import Path
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(next(Path(MODELS).glob("*.onnx")).read_bytes(), options)""",
}

MEMORY = """
import json, time
begun = time.process_time()
{program}
cpu = time.process_time() - begun
found = dict(line.split(":") for line in open("/proc/self/smaps_rollup").read().splitlines()[1:])
kib = {{name: int(found[name].split()[0]) for name in ("Rss", "Pss", "Private_Clean", "Private_Dirty")}}
uss = kib["Private_Clean"] + kib["Private_Dirty"]
print(json.dumps({{"rss": kib["Rss"] / 1024, "pss": kib["Pss"] / 1024, "uss": uss / 1024, "cpu_ms": 1000 * cpu}}))
"""

TIMES = """
import json, time
from pathlib import Path
from homeostat.adaptation import centre_and_scale
from homeostat_agent.decider.onnx_library import OnnxLibrary
from homeostat_agent.decider.scoring import OnnxScorer
library = OnnxLibrary()
scorer, notices = OnnxScorer.open(Path(MODELS), Path(STATE), library)
vector = [one + 0.1 for one in scorer._prior.centre]
matrix = [vector] * len(vector)

def plainly():
    return sum(a * sum(b * c for b, c in zip(row, vector)) for a, row in zip(vector, matrix))

def microseconds(what):
    for _ in range(200):
        what()
    begun = time.process_time()
    for _ in range(SCORES):
        what()
    return 1e6 * (time.process_time() - begun) / SCORES

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4

times = {
    "quadratic form in plain python": microseconds(plainly),
    "the graph alone": microseconds(scorer._session.run),
    "score": microseconds(lambda: scorer.score(vector, learn=False)),
    "score and learn": microseconds(lambda: scorer.score(vector, learn=True)),
}
before = resident()
for _ in range(SCORES):
    scorer.score(vector, learn=True)
print(json.dumps({"times": times, "growth_kib": resident() - before}))
"""


def main() -> None:
    options = _options()
    if not list(options.models.glob("*.onnx")):
        sys.exit(f"{options.models} holds no model: homeostat-models build --data models/data --out {options.models}")
    with tempfile.TemporaryDirectory() as folder:
        given = f"MODELS, STATE, SCORES = {str(options.models)!r}, {folder + '/usual.json'!r}, {options.scores}\n"
        _memory(given, options.repeats)
        _times(given, options.scores)


def _memory(given: str, repeats: int) -> None:
    print(f"{'MB':34} {'RSS':>7} {'PSS':>7} {'USS':>7} {'over floor':>11} {'CPU ms':>7}   (median of {repeats})")
    floor = 0.0
    for name, program in ROWS.items():
        runs = sorted(
            (_run(given + MEMORY.format(program=program)) for _ in range(repeats)), key=lambda one: one["rss"]
        )
        one = runs[len(runs) // 2]
        floor = floor or one["rss"]
        over = one["rss"] - floor
        print(f"{name:34} {one['rss']:7.1f} {one['pss']:7.1f} {one['uss']:7.1f} {over:11.1f} {one['cpu_ms']:7.1f}")


def _times(given: str, scores: int) -> None:
    found = _run(given + TIMES)
    floor = next(iter(found["times"].values()))
    print(f"\n{'µs of CPU':34} {'each':>7} {'of floor':>9}   ({scores} times)")
    for name, each in found["times"].items():
        print(f"{name:34} {each:7.1f} {each / floor:9.2f}")
    print(f"\nRSS grew by {found['growth_kib']} KiB over {scores} scores")


def _run(program: str) -> Any:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=Path, default=Path("build/models"), help="folder of a built model")
    parser.add_argument("--scores", type=int, default=20_000, help="scores per timing")
    parser.add_argument("--repeats", type=int, default=3, help="processes per memory row")
    return parser.parse_args()


if __name__ == "__main__":
    main()
