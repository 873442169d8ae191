"""The binding against the real library: right answers, the library's own words for what is wrong, and no leak."""

import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from homeostat_agent.decider import onnx_library
from homeostat_agent.decider.onnx_library import (
    FUNCTIONS,
    SELF_TEST_MODEL,
    OnnxError,
    OnnxLibrary,
    OnnxSession,
    check_version,
    library_path,
)

ROOT = Path(__file__).parents[3]
SINGLE, DOUBLE = {"single": 3}, {"double": 3}
# Memory may still grow by what allocators keep for reuse; a leak of one handle of 100 bytes per run would be 2 MB.
RUNS, GROWTH_KIB_MAX = 20_000, 512
SESSIONS, SESSIONS_GROWTH_KIB_MAX = 300, 2048


@pytest.fixture(scope="module")
def library() -> OnnxLibrary:
    return OnnxLibrary()


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found.group(1))


def test_the_library_is_found_without_importing_the_package() -> None:
    program = (
        "import sys; from homeostat_agent.decider.onnx_library import OnnxLibrary; OnnxLibrary().close();"
        "print(sorted(name for name in ('onnxruntime', 'numpy') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_pinned_version_is_the_one_tested_with(library: OnnxLibrary) -> None:
    pins = (ROOT / "requirements" / "agent.txt").read_text()
    pinned = re.search(r"^onnxruntime==([0-9.]+)", pins, re.MULTILINE)
    assert pinned is not None
    assert library.version == pinned.group(1)
    check_version(pinned.group(1))


@pytest.mark.parametrize("version", ["", "1", "1.31.9", "0.99", "2.0.0", "one.two", "10.1"])
def test_another_version_is_refused(version: str) -> None:
    with pytest.raises(OnnxError, match="was not tested with"):
        check_version(version)


@pytest.mark.parametrize("version", ["1.32.0", "1.33.1", "1.99"])
def test_a_tested_version_is_taken(version: str) -> None:
    check_version(version)


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "libonnxruntime.so.1").write_bytes(b"no library")
    with pytest.raises(OnnxError, match="cannot be loaded"):
        OnnxLibrary(tmp_path / "libonnxruntime.so.1")
    with pytest.raises(OnnxError, match="cannot be loaded"):
        OnnxLibrary(tmp_path / "absent.so")


def test_another_shared_library_is_refused() -> None:
    other = next(library_path().parent.glob("libonnxruntime_providers_shared.so"))
    with pytest.raises(OnnxError, match="cannot be loaded"):
        OnnxLibrary(other)


def test_the_self_test_model_is_what_its_comment_says() -> None:
    single, double = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("single", "double"))
    graph = helper.make_graph([helper.make_node("Add", ["single", "single"], ["double"])], "t", [single], [double])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8, producer_name="")
    helper.set_model_props(model, {"answer": "42"})
    assert model == onnx.load_model_from_string(SELF_TEST_MODEL)


def test_places_are_distinct_and_those_that_the_headers_assert() -> None:
    places = [place for place, _, _ in FUNCTIONS.values()]
    assert len(set(places)) == len(places)
    assert FUNCTIONS["ReleaseModelMetadata"][0] == 118
    # ReleaseCustomOpDomain, the last of version 1, is asserted at 101; the options' release stands just before it.
    assert FUNCTIONS["ReleaseSessionOptions"][0] == 100


def test_a_run_computes(library: OnnxLibrary) -> None:
    with OnnxSession(library, SELF_TEST_MODEL, SINGLE, DOUBLE) as session:
        for values in ([1.0, 2.0, 3.0], [-1.5, 0.0, 1e6]):
            session.fill("single", values)
            session.run()
            assert session.outputs["double"][:] == [2 * one for one in values]


def test_metadata_is_looked_up(library: OnnxLibrary) -> None:
    with OnnxSession(library, SELF_TEST_MODEL, SINGLE, DOUBLE) as session:
        assert session.metadata("answer") == "42"
        assert session.metadata("question") is None


def test_bytes_that_are_no_model_are_refused_in_the_librarys_words(library: OnnxLibrary) -> None:
    for content in (b"", b"no model", SELF_TEST_MODEL[:50]):
        with pytest.raises(OnnxError, match="CreateSessionFromArray: "):
            OnnxSession(library, content, SINGLE, DOUBLE)


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ({"single": 4}, DOUBLE, "invalid dimensions for input: single"),
        ({"simple": 3}, DOUBLE, "Invalid input name: simple"),
        (SINGLE, {"treble": 3}, "Invalid output name: treble"),
        (SINGLE, {"double": 2}, "invalid dimensions for output: double"),
        ({}, DOUBLE, "Run: "),
    ],
)
def test_names_and_lengths_that_do_not_fit_are_refused(
    library: OnnxLibrary, inputs: dict[str, int], outputs: dict[str, int], said: str
) -> None:
    with OnnxSession(library, SELF_TEST_MODEL, inputs, outputs) as session, pytest.raises(OnnxError, match=said):
        session.run()


@pytest.mark.parametrize("values", [(1.0, 2.0), (1.0, 2.0, 3.0, 4.0), ()])
def test_a_vector_of_another_length_never_reaches_the_buffer(library: OnnxLibrary, values: tuple[float, ...]) -> None:
    with OnnxSession(library, SELF_TEST_MODEL, SINGLE, DOUBLE) as session, pytest.raises(ValueError, match="size"):
        session.fill("single", values)


def test_a_closed_session_or_library_is_refused_not_crashed() -> None:
    library = OnnxLibrary()
    session = OnnxSession(library, SELF_TEST_MODEL, SINGLE, DOUBLE)
    for _ in range(2):
        session.close()
    with pytest.raises(OnnxError, match="session was closed"):
        session.run()
    with pytest.raises(OnnxError, match="session was closed"):
        session.metadata("answer")
    for _ in range(2):
        library.close()
    with pytest.raises(OnnxError, match="library was closed"):
        OnnxSession(library, SELF_TEST_MODEL, SINGLE, DOUBLE)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_runs_do_not_grow_the_process(library: OnnxLibrary) -> None:
    with OnnxSession(library, SELF_TEST_MODEL, SINGLE, DOUBLE) as session:
        for _ in range(1000):
            session.run()
        before = resident_kib()
        for _ in range(RUNS):
            session.fill("single", (1.0, 2.0, 3.0))
            session.run()
        assert resident_kib() - before < GROWTH_KIB_MAX


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_sessions_metadata_and_failures_do_not_grow_the_process(library: OnnxLibrary) -> None:
    def once() -> None:
        with OnnxSession(library, SELF_TEST_MODEL, SINGLE, {"double": 2}) as session:
            session.metadata("answer")
            with pytest.raises(OnnxError):
                session.run()

    for _ in range(50):
        once()
    before = resident_kib()
    for _ in range(SESSIONS):
        once()
    assert resident_kib() - before < SESSIONS_GROWTH_KIB_MAX


def test_every_handle_has_its_release() -> None:
    made = {"Env", "SessionOptions", "Session", "MemoryInfo", "Value", "ModelMetadata", "Status"}
    assert {name.removeprefix("Release") for name in FUNCTIONS if name.startswith("Release")} == made
    assert onnx_library.API_VERSION >= 17
