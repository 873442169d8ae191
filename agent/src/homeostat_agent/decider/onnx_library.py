"""onnxruntime without its Python package: a few functions of its C library, called through ctypes.

The Python package loads numpy and a second copy of the bindings, some 16 MB that a resident agent has no use for. The
library's table of functions only ever grows at its end (its headers say so and its sources assert it), so the places in
FUNCTIONS hold for every API version from 17 on. One invariant: whatever the library hands out is given back exactly
once, and a run allocates nothing in it, because all tensors lie over buffers that live as long as the session.
"""

import ctypes
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

API_VERSION = 17
# The versions that the tests run against; requirements/agent.txt pins one of them, which a test asserts.
VERSION_LEAST = (1, 32)
VERSION_BELOW = (2, 0)

_FLOAT = 1  # ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
_DEVICE_ALLOCATOR, _MEMORY_DEFAULT = 0, 0  # OrtDeviceAllocator, OrtMemTypeDefault
_LOG_ERRORS = 3  # ORT_LOGGING_LEVEL_ERROR
_GRAPH_BASIC = 1  # ORT_ENABLE_BASIC: constants folded; the rest costs memory and gains nothing on small graphs

_P, _I, _N = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
_OUT = ctypes.POINTER(ctypes.c_void_p)
_TEXTS = ctypes.POINTER(ctypes.c_char_p)
Vector = ctypes.Array[ctypes.c_float]

# Name → (place in struct OrtApi, result, arguments). A result of None is a release; `_STATUS` is null for success.
# Source: onnxruntime's include/onnxruntime/core/session/onnxruntime_c_api.h, members of struct OrtApi counted from 0;
# its onnxruntime_c_api.cc asserts 101 for ReleaseCustomOpDomain and 118 for ReleaseModelMetadata.
_STATUS = ctypes.c_void_p
FUNCTIONS: Mapping[str, tuple[int, Any, tuple[Any, ...]]] = MappingProxyType(
    {
        "GetErrorMessage": (2, ctypes.c_char_p, (_P,)),
        "CreateEnv": (3, _STATUS, (_I, ctypes.c_char_p, _OUT)),
        "DisableTelemetryEvents": (6, _STATUS, (_P,)),
        "CreateSessionFromArray": (8, _STATUS, (_P, ctypes.c_char_p, _N, _P, _OUT)),
        "Run": (9, _STATUS, (_P, _P, _TEXTS, _OUT, _N, _TEXTS, _N, _OUT)),
        "CreateSessionOptions": (10, _STATUS, (_OUT,)),
        "DisableMemPattern": (17, _STATUS, (_P,)),
        "DisableCpuMemArena": (19, _STATUS, (_P,)),
        "SetSessionGraphOptimizationLevel": (23, _STATUS, (_P, _I)),
        "SetIntraOpNumThreads": (24, _STATUS, (_P, _I)),
        "SetInterOpNumThreads": (25, _STATUS, (_P, _I)),
        "CreateTensorWithDataAsOrtValue": (
            49,
            _STATUS,
            (_P, _P, _N, ctypes.POINTER(ctypes.c_int64), _N, _I, _OUT),
        ),
        "CreateCpuMemoryInfo": (69, _STATUS, (_I, _I, _OUT)),
        "AllocatorFree": (76, _STATUS, (_P, _P)),
        "GetAllocatorWithDefaultOptions": (78, _STATUS, (_OUT,)),
        "ReleaseEnv": (92, None, (_P,)),
        "ReleaseStatus": (93, None, (_P,)),
        "ReleaseMemoryInfo": (94, None, (_P,)),
        "ReleaseSession": (95, None, (_P,)),
        "ReleaseValue": (96, None, (_P,)),
        "ReleaseSessionOptions": (100, None, (_P,)),
        "SessionGetModelMetadata": (111, _STATUS, (_P, _OUT)),
        "ModelMetadataLookupCustomMetadataMap": (116, _STATUS, (_P, _P, ctypes.c_char_p, _OUT)),
        "ReleaseModelMetadata": (118, None, (_P,)),
    }
)

# The model "double = single + single" over three numbers, with metadata answer: 42. A test builds it anew and compares.
SELF_TEST_MODEL = bytes.fromhex(
    "080812003a4e0a1d0a0673696e676c650a0673696e676c651206646f75626c6522034164641201745a140a0673696e676c65120a"
    "0a08080112040a02080362140a06646f75626c65120a0a08080112040a02080342040a001012720c0a06616e7377657212023432"
)


class OnnxError(Exception):
    """The library is absent, not one that was tested, or refused what was asked; the message says which."""


class _ApiEntry(ctypes.Structure):
    _fields_ = (
        ("get_api", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)),
        ("get_version", ctypes.CFUNCTYPE(ctypes.c_char_p)),
    )


def library_path() -> Path:
    """Return the C library inside the installed onnxruntime wheel, without importing the package.

    Raises OnnxError when there is no wheel, or no one library in it.
    """
    spec = find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        raise OnnxError("onnxruntime is not installed")
    folder = Path(spec.origin).parent / "capi"
    found = sorted(folder.glob("onnxruntime.dll" if os.name == "nt" else "libonnxruntime.so.*"))
    if len(found) != 1:
        raise OnnxError(f"{folder} holds {len(found)} onnxruntime libraries; exactly one is expected")
    return found[0]


class OnnxLibrary:
    """The loaded C library with one environment; `self_test` has passed when the constructor returns."""

    def __init__(self, path: Path | None = None) -> None:
        """Load the library at `path`, by default the installed wheel's.

        Raises OnnxError when it is absent, of a version that was not tested, or gives a wrong answer.
        """
        path = path or library_path()
        try:
            base = _api_entry(ctypes.CDLL(str(path)))
        except (OSError, AttributeError) as error:
            raise OnnxError(f"{path} cannot be loaded: {error}") from error
        self.version = (base.get_version() or b"").decode("ascii", "replace")
        check_version(self.version)
        table = base.get_api(API_VERSION)
        if not table:
            raise OnnxError(f"onnxruntime {self.version} does not offer API version {API_VERSION}")
        self._functions = _bind(table)
        self._env = self.made("CreateEnv", _LOG_ERRORS, b"homeostat")
        try:
            self.do("DisableTelemetryEvents", self._env)
            self._self_test()
        except OnnxError:
            self.close()
            raise

    def do(self, name: str, *arguments: Any) -> None:
        """Call a function that returns a status; a failure is an OnnxError with the library's message."""
        status = self._functions[name](*arguments)
        if status:
            message = (self._functions["GetErrorMessage"](status) or b"").decode("utf-8", "replace")
            self._functions["ReleaseStatus"](status)
            raise OnnxError(f"{name}: {message}")

    def made(self, name: str, *arguments: Any) -> int:
        """Call a function whose last argument receives a handle, and return the handle."""
        handle = ctypes.c_void_p()
        self.do(name, *arguments, ctypes.byref(handle))
        return handle.value or 0

    def release(self, kind: str, handle: int) -> None:
        """Give one handle back; 0 is none."""
        if handle:
            self._functions[f"Release{kind}"](handle)

    @property
    def environment(self) -> int:
        """The environment's handle, for sessions; OnnxError once the library is closed."""
        if not self._env:
            raise OnnxError("the onnxruntime library was closed")
        return self._env

    def close(self) -> None:
        """Release the environment; a second call does nothing. Sessions must be closed before."""
        self.release("Env", self._env)
        self._env = 0

    def _self_test(self) -> None:
        with OnnxSession(self, SELF_TEST_MODEL, {"single": 3}, {"double": 3}) as session:
            session.fill("single", (1.0, -2.5, 0.125))
            session.run()
            if session.outputs["double"][:] != [2.0, -5.0, 0.25] or session.metadata("answer") != "42":
                raise OnnxError(f"onnxruntime {self.version} gave a wrong answer to the self-test")


class OnnxSession:
    """One model with its input and output buffers: float32 vectors whose length never changes.

    `outputs` maps each output's name to its vector, which every run overwrites. Not thread-safe; one thread owns it.
    """

    def __init__(
        self, library: OnnxLibrary, model: bytes, inputs: Mapping[str, int], outputs: Mapping[str, int]
    ) -> None:
        """Load `model` from memory; `inputs` and `outputs` map the graph's names to lengths.

        Raises OnnxError when the library refuses the model. Names and lengths that do not fit it show in `run`.
        """
        self._library = library
        self._inputs = {name: (ctypes.c_float * length)() for name, length in inputs.items()}
        self.outputs = {name: (ctypes.c_float * length)() for name, length in outputs.items()}
        self._handles: list[tuple[str, int]] = []
        try:
            self._session = self._load(model)
            memory = self._kept("MemoryInfo", library.made("CreateCpuMemoryInfo", _DEVICE_ALLOCATOR, _MEMORY_DEFAULT))
            self._arguments = (
                self._session,
                None,
                *self._tensors(memory, self._inputs),
                *self._tensors(memory, self.outputs, count_first=True),
            )
        except OnnxError:
            self.close()
            raise

    def fill(self, name: str, values: Sequence[float]) -> None:
        """Write one input; KeyError for a name it does not have, ValueError if the length is not its own."""
        numbers: list[ctypes.c_float | float] = [*values]
        self._inputs[name][:] = numbers

    def run(self) -> None:
        """Compute from what was filled in and write `outputs`; OnnxError if the graph does not take them."""
        self._check_open()
        self._library.do("Run", *self._arguments)

    def metadata(self, key: str) -> str | None:
        """Return one of the model's own metadata texts, or None where it has none of that name."""
        self._check_open()
        library = self._library
        allocator = library.made("GetAllocatorWithDefaultOptions")  # the library's own: never released
        found = library.made("SessionGetModelMetadata", self._session)
        try:
            text = library.made("ModelMetadataLookupCustomMetadataMap", found, allocator, key.encode())
            if not text:
                return None
            value = ctypes.string_at(text).decode("utf-8", "replace")
            library.do("AllocatorFree", allocator, text)
            return value
        finally:
            library.release("ModelMetadata", found)

    def close(self) -> None:
        """Give back everything, last made first; a second call does nothing."""
        while self._handles:
            self._library.release(*self._handles.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if not self._handles:
            raise OnnxError("the session was closed")

    def _load(self, model: bytes) -> int:
        library = self._library
        options = library.made("CreateSessionOptions")
        try:
            library.do("SetIntraOpNumThreads", options, 1)
            library.do("SetInterOpNumThreads", options, 1)
            library.do("SetSessionGraphOptimizationLevel", options, _GRAPH_BASIC)
            library.do("DisableCpuMemArena", options)
            library.do("DisableMemPattern", options)
            session = library.made("CreateSessionFromArray", library.environment, model, len(model), options)
        finally:
            library.release("SessionOptions", options)
        return self._kept("Session", session)

    def _tensors(self, memory: int, buffers: Mapping[str, Vector], *, count_first: bool = False) -> Any:
        names = (ctypes.c_char_p * len(buffers))(*(name.encode() for name in buffers))
        values = (ctypes.c_void_p * len(buffers))(*(self._tensor(memory, one) for one in buffers.values()))
        return (names, len(buffers), values) if count_first else (names, values, len(buffers))

    def _tensor(self, memory: int, buffer: Vector) -> int:
        shape = (ctypes.c_int64 * 1)(len(buffer))
        over = (ctypes.addressof(buffer), ctypes.sizeof(buffer))
        made = self._library.made("CreateTensorWithDataAsOrtValue", memory, *over, shape, 1, _FLOAT)
        return self._kept("Value", made)

    def _kept(self, kind: str, handle: int) -> int:
        self._handles.append((kind, handle))
        return handle


def check_version(version: str) -> None:
    """Raise OnnxError unless `version` is one that this binding was tested with."""
    try:
        found = tuple(int(part) for part in version.split(".")[:2])
    except ValueError:
        found = ()
    if not VERSION_LEAST <= found < VERSION_BELOW:
        least, below = (".".join(map(str, one)) for one in (VERSION_LEAST, VERSION_BELOW))
        raise OnnxError(f"onnxruntime {version or '?'} was not tested with; needed is {least} or newer, below {below}")


def _api_entry(library: ctypes.CDLL) -> _ApiEntry:
    library.OrtGetApiBase.restype = ctypes.POINTER(_ApiEntry)
    base: _ApiEntry = library.OrtGetApiBase().contents
    return base


def _bind(table: int) -> dict[str, Any]:
    slots = ctypes.cast(table, _OUT)
    return {
        name: ctypes.CFUNCTYPE(result, *arguments)(slots[place])
        for name, (place, result, arguments) in FUNCTIONS.items()
    }
