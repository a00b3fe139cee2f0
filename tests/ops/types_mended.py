"""Operators of onnx.reference 1.19 that do not do what the standard's text says, mended: types_ref.py puts them in their place.

Each class says what is wrong there. What it inherits is the reference's own.
"""
import ml_dtypes
import numpy as np
from onnx import helper, numpy_helper
from onnx.reference.ops.op_grid_sample import GridSample as RefGridSample
from onnx.reference.ops.op_one_hot import OneHot as RefOneHot
from onnx.reference.ops.op_qlinear_matmul import QLinearMatMul as RefQLinearMatMul
from onnx.reference.ops.op_quantize_linear import QuantizeLinear_23 as RefQuantizeLinear
from onnx.reference.ops.op_quantize_linear import _reshape_input
from onnx.reference.ops.op_resize import Resize as RefResize
from onnx.reference.ops.op_scatter_elements import ScatterElements as RefScatterElements


def is_integer(t):
    return np.dtype(t).kind in "iu" or np.dtype(t).name in ("int4", "uint4")


def saturated(v, t):
    if is_integer(t):
        info = ml_dtypes.iinfo(t)
        return np.clip(np.where(np.isnan(v), 0, v), int(info.min), int(info.max)).astype(t)
    return numpy_helper.saturate_cast(v.astype(np.float32), dtype=np.dtype(t))


class QLinearMatMul(RefQLinearMatMul):
    """The reference cuts 8-bit floats off to int32 before the product, and wraps what is outside the result's type; the standard:
    y = saturate((x / y_scale) + y_zero_point)."""

    def _run(self, a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point):
        f = lambda x: x.astype(np.float64)
        s = np.float32(a_scale) * np.float32(b_scale) / np.float32(y_scale)
        v = np.matmul(f(a) - f(a_zero_point), f(b) - f(b_zero_point)) * s
        t = y_zero_point.dtype
        v = np.where(np.isnan(v), 0, v) if is_integer(t) else v
        return (saturated((np.rint(v) if is_integer(t) else v) + f(y_zero_point), t),)


class QuantizeLinear(RefQuantizeLinear):
    """The reference leaves out the zero point of 8-bit floats (the standard: "the formula remains the same") and divides in the
    wider type of the two (the standard: "the type of y_scale determines the precision"); infinite quotients wrap to the smallest
    int32 (the standard: saturate)."""

    def _run(self, x, y_scale, zero_point=None, axis=1, saturate=True, block_size=0, output_dtype=None, precision=None):
        if y_scale.dtype.itemsize < 4 and not precision:
            x = x.astype(y_scale.dtype)
        if zero_point is None or zero_point.dtype.name == "float4_e2m1fn":
            return super()._run(x, y_scale, zero_point, axis=axis, saturate=saturate, block_size=block_size, output_dtype=output_dtype,
                                precision=precision)
        scale, zero = (_reshape_input(v, x.shape, axis, block_size) for v in (y_scale, zero_point))
        wide = helper.tensor_dtype_to_np_dtype(precision) if precision else None
        v = (x.astype(wide) / scale.astype(wide) if wide else x / scale).astype(np.float32)
        v = (np.rint(v) if is_integer(zero_point.dtype) else v) + np.asarray(zero).astype(np.float32)
        return (saturated(v, zero_point.dtype) if saturate or is_integer(zero_point.dtype) else v.astype(zero_point.dtype),)


class OneHot(RefOneHot):
    """The reference takes indices modulo the depth, so that those outside it are on somewhere (the standard: off everywhere), and
    neither indices nor depth to int64 first."""

    def _run(self, indices, depth, values, axis=None):
        n, i = int(np.asarray(depth).ravel()[0]), np.asarray(indices).astype(np.int64)
        i = np.where((i < -n) | (i >= n), n, np.where(i < 0, i + n, i))
        on = np.moveaxis(np.eye(n + 1, dtype=bool)[i][..., :n], -1, -1 if axis is None else axis)
        return (np.where(on, values[1], values[0]),)


class ScatterElements(RefScatterElements):
    """The reference does not know reduction mul: it overwrites."""

    def _run(self, data, indices, updates, axis=None, reduction=None):
        if reduction != "mul":
            return super()._run(data, indices, updates, axis=axis, reduction=reduction)
        y = data.copy()
        for at in np.ndindex(indices.shape):
            to = list(at)
            to[axis or 0] = indices[at]
            y[tuple(to)] = y[tuple(to)] * updates[at]
        return (y,)


class GridSample(RefGridSample):
    """The reference keeps weights in the element type: those of integers are 0. Ours works in double and cuts off."""

    def _run(self, X, grid, **attributes):
        wide = X.astype(np.float64) if X.dtype.kind in "iub" else X
        y = super()._run(wide, grid, **attributes)[0]
        return ((y != 0) if X.dtype.kind == "b" else saturated(np.trunc(np.round(y, 6)), X.dtype) if X.dtype.kind in "iu" else y,)


class Resize(RefResize):
    """The standard does not say how integers come about: the reference rounds, ONNX Runtime rounds with antialias and cuts off
    without, and so does ours."""

    def _run(self, X, *inputs, **attributes):
        wide = X.astype(np.float64) if X.dtype.kind in "iu" else X
        y = super()._run(wide, *inputs, **attributes)[0]
        whole = (lambda v: np.floor(v + 0.5 + 1e-6)) if attributes.get("antialias") else lambda v: np.trunc(np.round(v, 6))
        return (saturated(whole(y), X.dtype) if X.dtype.kind in "iu" else y,)


MENDED = [QLinearMatMul, QuantizeLinear, OneHot, ScatterElements, GridSample, Resize]
