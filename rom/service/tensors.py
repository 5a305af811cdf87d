"""Tensors of the Open Inference protocol, in JSON or as bytes behind the JSON.

The bytes are the extension "binary tensor data" of the protocol: the header
``Inference-Header-Content-Length`` says where the JSON ends; then come the tensors in their order,
row by row, little-endian.
"""

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import ValidationError

from rom.service.handlers import validation_problem
from rom.service.inference_texts import InferText, InputText
from rom.service.problem import ServiceError

__all__ = ["HEADER", "array_of", "encoded", "read_request"]

HEADER = "Inference-Header-Content-Length"
_TYPES = {
    "FP64": "<f8",
    "FP32": "<f4",
    "INT64": "<i8",
    "INT32": "<i4",
    "INT16": "<i2",
    "INT8": "|i1",
    "UINT64": "<u8",
    "UINT32": "<u4",
    "UINT16": "<u2",
    "UINT8": "|u1",
}


def read_request(body: bytes, header: str | None) -> tuple[InferText, memoryview]:
    """Return the request and the bytes behind it.

    Parameters
    ----------
    body
        Of the request.
    header
        Where the JSON ends; None: at the end of the body.

    Raises
    ------
    ServiceError
        If either cannot be read.
    """
    if header is not None and not (header.isascii() and header.isdigit() and len(header) < 12):
        raise ServiceError.of(400, "invalid_request", f"a number in `{HEADER}`", repr(header[:50]))
    end = len(body) if header is None else int(header)
    if end > len(body):
        raise ServiceError.of(400, "invalid_request", f"{end} bytes of JSON", str(len(body)))
    try:
        text = InferText.model_validate_json(body[:end])
    except ValidationError as error:
        raise ServiceError(validation_problem(error.errors(include_url=False))) from error
    return text, memoryview(body)[end:]


def array_of(tensor: InputText, rest: memoryview) -> tuple[NDArray[np.float64], memoryview]:
    """Return the numbers of a tensor in its shape, and the bytes behind it.

    Raises
    ------
    ServiceError
        If type, shape and data do not fit, or a number is not finite.
    """
    kind = _TYPES.get(tensor.datatype)
    if kind is None:
        raise _wrong(tensor, f"a datatype out of {', '.join(_TYPES)}", tensor.datatype)
    count = int(np.prod(tensor.shape, dtype=object))
    if tensor.data is not None:
        flat = _from_list(tensor)
    else:
        flat, rest = _from_bytes(tensor, rest, np.dtype(kind))
    if len(flat) != count:
        raise _wrong(tensor, f"{count} numbers for the shape {list(tensor.shape)}", str(len(flat)))
    if not np.isfinite(flat).all():
        raise _wrong(tensor, "finite numbers", "NaN or infinity")
    return flat.reshape(tensor.shape), rest


def encoded(
    content: dict[str, Any], outputs: list[tuple[dict[str, Any], NDArray[Any], bool]]
) -> tuple[bytes, int | None]:
    """Return the bytes of a reply, and the length of its JSON if other bytes follow.

    Parameters
    ----------
    content
        The reply without its outputs.
    outputs
        Each with its description, its array, and whether it is sent as bytes.
    """
    texts, parts = [], []
    for text, array, as_bytes in outputs:
        whole = np.ascontiguousarray(array)
        if as_bytes:
            parts.append(memoryview(whole).cast("B"))
            size = {"binary_data_size": whole.nbytes}
            texts.append({**text, "parameters": {**text["parameters"], **size}})
        else:
            texts.append({**text, "data": whole.reshape(-1)})
    head = orjson.dumps({**content, "outputs": texts}, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join([head, *parts]), len(head) if parts else None


def _from_list(tensor: InputText) -> NDArray[np.float64]:
    try:
        flat = np.array(tensor.data)
    except (ValueError, OverflowError):
        raise _wrong(tensor, "rows of equal length", "rows of several") from None
    if flat.dtype.kind not in "iuf":
        raise _wrong(tensor, "numbers", "other data")
    return flat.reshape(-1).astype(np.float64)


def _from_bytes(
    tensor: InputText, rest: memoryview, kind: np.dtype[Any]
) -> tuple[NDArray[np.float64], memoryview]:
    size = tensor.parameters.get("binary_data_size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(rest):
        raise _wrong(tensor, "`data`, or `binary_data_size` bytes behind the JSON", "neither")
    if size % kind.itemsize:
        raise _wrong(tensor, f"whole numbers of {kind.itemsize} bytes", f"{size} bytes")
    return np.frombuffer(rest[:size], kind).astype(np.float64), rest[size:]


def _wrong(tensor: InputText, expected: str, received: str) -> ServiceError:
    return ServiceError.of(
        422, "invalid_tensor", f"in the input {tensor.name!r} {expected}", received
    )
