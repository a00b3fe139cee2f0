"""infer_ov.py MODEL.onnx [NAME=FILE.npy ...]: the least time of a run in OpenVINO, for the column beside (bench/infer.py).

One thread, float32 as the model says it, inputs set once, some seconds at most. Through the Python package, whose call costs some
microseconds: for models that take hundreds of them. Prints {"us": ...}.
"""
import json
import sys
import time

import numpy as np
import openvino

SECONDS, LEAST_RUNS, MOST_RUNS = 1.0, 5, 200


def main():
    core = openvino.Core()
    given = dict(a.split("=", 1) for a in sys.argv[2:])
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": "1", "INFERENCE_PRECISION_HINT": "f32"}
    model = core.read_model(sys.argv[1])
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    keep = []
    for i, x in enumerate(model.inputs):
        name = next((n for n in x.get_names() if n in given), None)
        dims = [d.get_length() if d.is_static else 1 for d in x.get_partial_shape()]
        kind = x.get_element_type().to_dtype()
        value = np.load(given[name]) if name else (np.random.default_rng(7).random(dims) * (1 if kind.kind == "f" else 2)).astype(kind)
        keep.append(np.ascontiguousarray(value))
        request.set_input_tensor(i, openvino.Tensor(keep[-1], shared_memory=True))
    request.infer()
    best, start, n = float("inf"), time.perf_counter(), 0
    while n < LEAST_RUNS or (n < MOST_RUNS and time.perf_counter() - start < SECONDS):
        t = time.perf_counter()
        request.infer()
        best = min(best, time.perf_counter() - t)
        n += 1
    print(json.dumps({"us": best * 1e6}))


if __name__ == "__main__":
    main()
