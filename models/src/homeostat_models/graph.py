"""The model as an ONNX graph, for the agent to run.

Inputs are three float32 vectors of one number per feature: `features` (NaN: missing), and `centre` and `scale`, which
are the endpoint's own state; outputs are `score` [1], `p_value` [1] and `share` [features]. What the fleet shares
(precision, calibration) are initializers under the file's digest; what an endpoint learns goes in as an input, so
adapting never changes a file. A later model keeps that line: more views are more pairs of state inputs (a moving mean,
the vector before, a daily profile), and a graph that updates its own state gives it back as outputs of the same shape.
One invariant: the graph computes what reference.py states, and the same parameters make the same bytes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from homeostat.features import FEATURE_SET_VERSION, FEATURES
from homeostat_models.reference import DEVIATIONS_MAX, P_VALUE_LEAST, PART_LEAST, Float32s, Parameters, score

# Both are older than the onnxruntime that agents carry, and hold every operator used.
OPSET, IR_VERSION = 18, 10
INPUTS: Mapping[str, int] = {name: len(FEATURES) for name in ("features", "centre", "scale")}
OUTPUTS: Mapping[str, int] = {"score": 1, "p_value": 1, "share": len(FEATURES)}
# The probe's deviation from the prior: far enough that every branch of the graph has a say in the answer.
_PROBE_DEVIATIONS = 3.0


@dataclass(slots=True)
class _Draft:
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: float | Float32s) -> str:
        array = np.atleast_1d(np.asarray(value, dtype=np.float32))
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output


def build(parameters: Parameters, name: str, version: int) -> bytes:
    """Return the serialised ONNX model with its metadata."""
    draft = _Draft()
    _distance(draft, parameters)
    _score(draft, parameters)
    _p_value(draft, parameters)
    graph = helper.make_graph(
        draft.nodes,
        name,
        [helper.make_tensor_value_info(one, TensorProto.FLOAT, [size]) for one, size in INPUTS.items()],
        [helper.make_tensor_value_info(one, TensorProto.FLOAT, [size]) for one, size in OUTPUTS.items()],
        draft.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name = "homeostat-models"
    described = metadata(parameters, name, version)
    helper.set_model_props(model, {**described, "operators": json.dumps(_operators(graph))})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def metadata(parameters: Parameters, name: str, version: int) -> dict[str, str]:
    """Return the model's own description: texts, the structured ones as JSON."""
    prior = parameters.prior
    return {
        "model": name,
        "version": str(version),
        "feature_set_version": str(FEATURE_SET_VERSION),
        "features": json.dumps(FEATURES),
        "prior": json.dumps({"centre": prior.centre, "scale": prior.scale, "floor": prior.floor}),
        "probe": json.dumps(_probe(parameters)),
    }


def operators(model: bytes) -> list[str]:
    """Return the operators that a serialised model uses, each once, sorted."""
    return _operators(onnx.load_model_from_string(model).graph)


def _operators(graph: onnx.GraphProto) -> list[str]:
    return sorted({node.op_type for node in graph.node})


def _distance(draft: _Draft, parameters: Parameters) -> None:
    draft.node("Sub", ["features", "centre"], "off")
    draft.node("Div", ["off", "scale"], "deviation")
    draft.node("IsNaN", ["features"], "missing")
    draft.node("Where", ["missing", draft.constant("zero", 0.0), "deviation"], "imputed")
    limits = [draft.constant("least", -DEVIATIONS_MAX), draft.constant("most", DEVIATIONS_MAX)]
    draft.node("Max", ["imputed", limits[0]], "not_below")
    draft.node("Min", ["not_below", limits[1]], "z")
    draft.node("MatMul", [draft.constant("precision", parameters.precision), "z"], "weighed")
    draft.node("Mul", ["z", "weighed"], "parts")
    draft.node("ReduceSum", ["parts"], "sum", keepdims=1)
    draft.node("Max", ["sum", "zero"], "squared")
    draft.node("Sqrt", ["squared"], "distance")


def _score(draft: _Draft, parameters: Parameters) -> None:
    draft.node("Add", ["distance", draft.constant("alarm", parameters.calibration.alarm)], "beside_alarm")
    draft.node("Div", ["distance", "beside_alarm"], "score")
    draft.node("Max", ["parts", "zero"], "raising")
    draft.node("Add", ["raising", draft.constant("part_least", PART_LEAST)], "positive")
    draft.node("ReduceSum", ["positive"], "total", keepdims=1)
    draft.node("Div", ["positive", "total"], "share")


def _p_value(draft: _Draft, parameters: Parameters) -> None:
    calibration = parameters.calibration
    one = draft.constant("one", 1.0)
    draft.node("GreaterOrEqual", [draft.constant("distances", calibration.distances), "distance"], "at_least")
    draft.node("Cast", ["at_least"], "each", to=TensorProto.FLOAT)
    draft.node("ReduceSum", ["each"], "count", keepdims=1)
    draft.node("Add", ["count", one], "count_and_one")
    all_and_one = draft.constant("all_and_one", 1.0 + len(calibration.distances))
    draft.node("Div", ["count_and_one", all_and_one], "counted")
    start = draft.constant("start", calibration.start)
    draft.node("Sub", ["distance", start], "past_start")
    draft.node("Div", ["past_start", draft.constant("fade", -calibration.fade)], "exponent")
    draft.node("Exp", ["exponent"], "fading")
    draft.node("Mul", ["fading", draft.constant("tail_share", calibration.share)], "fitted")
    draft.node("Greater", ["distance", start], "beyond")
    draft.node("Where", ["beyond", "fitted", "counted"], "share_beyond")
    draft.node("Max", ["share_beyond", draft.constant("p_value_least", P_VALUE_LEAST)], "p_value")


def _probe(parameters: Parameters) -> dict[str, object]:
    """Return a vector and its answer under the prior: an agent refuses a model that computes something else there."""
    prior = parameters.prior
    features = [
        float(np.float32(centre + (_PROBE_DEVIATIONS if i % 2 else -_PROBE_DEVIATIONS) * scale))
        for i, (centre, scale) in enumerate(zip(prior.centre, prior.scale, strict=True))
    ]
    result = score(parameters, features, prior.centre, prior.scale)
    return {"features": features, "score": round(result.score, 6), "p_value": float(f"{result.p_value:.5g}")}
