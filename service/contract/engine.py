"""OpenVINO on this CPU: the core of a process, and which precisions really run here.

Export and service choose by the same trial, so that what is proven is what is served.
"""

from functools import cache

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from service.contract.manifest import NO_SECTIONS, Sections
from service.contract.precision import Precision, WantedPrecision, served_precisions


@cache
def open_core() -> ov.Core:
    """Open the core of this process, which lives as long as the process does.

    Its CPU plugin lends a signal stack to the thread that opens it and frees that stack on the thread that closes it.
    Closed on another thread, it would leave the first to die of its next signal.
    """
    return ov.Core()


def choose_precision(wanted: WantedPrecision, *, graph: str, sections: Sections = NO_SECTIONS) -> Precision:
    """Choose the precision that a graph is run in on this CPU: the first of those it may be served in that runs here.

    ``f32`` excludes the others. Where this CPU does not run ``bf16``, or the bundle says that its graph does not bear
    it, that is ``f32``, also if ``bf16`` was wanted.
    """
    *preferred, last = served_precisions(graph)
    # The last is not tried: nothing is left to take in its place.
    tried = preferred if wanted != "f32" else []
    return next((each for each in tried if not (sections.find_objection(graph, each) or find_obstacle(each))), last)


@cache
def find_obstacle(precision: Precision) -> str:
    """Say why this CPU does not run graphs in a precision beside f32; empty where it does.

    What OpenVINO reports is not enough: told to keep below AVX-512, it still reports bf16, and then finds no softmax
    for it. So a tiny attention is compiled and run.
    """
    if precision.upper() not in open_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return f"this CPU has no {precision}"
    try:
        compiled = open_core().compile_model(_tiny_attention(), "CPU", {"INFERENCE_PRECISION_HINT": precision})
        [output] = compiled([np.ones((1, 4, 16), dtype=np.float32)]).values()
    except RuntimeError as error:
        return f"a tiny graph does not run in {precision}: {explain_failure(error)}"
    # Every row of the softmax is the mean over equal values.
    if not np.allclose(output, 1, atol=1e-2):
        return f"a tiny graph gives wrong numbers in {precision}"
    return ""


def explain_failure(error: Exception) -> str:
    """Say what OpenVINO complains of, without the places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(line for line in lines if not line.startswith(("Exception from", "Check '"))) or str(error).strip()


def _tiny_attention() -> ov.Model:
    tokens = ops.parameter([1, 4, 16], np.float32)
    weights = ops.softmax(ops.matmul(tokens, tokens, False, True), 2)
    return ov.Model([ops.matmul(weights, tokens, False, False)], [tokens])
