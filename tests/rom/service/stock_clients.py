"""Runs in the environment of the clients: asks a service in all protocols, prints what it got.

The only argument is the address of the service.
"""

import json
import sys
import tempfile
import urllib.request
from pathlib import Path

import numpy as np
import tritonclient.http as inference
import umbridge
from tritonclient.utils import InferenceServerException
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOHDF import vtkHDFReader

POINT = [0.4, 3.0]
MANY = np.array([[0.3, 2.0], [0.55, 5.0], [0.7, 9.0]])


def ask_umbridge(address: str) -> dict[str, object]:
    """Use every feature that the models offer."""
    found = {"models": umbridge.supported_models(address)}
    for name in ("moving", "moving.trust"):
        model = umbridge.HTTPModel(address, name)
        sizes = model.get_output_sizes()
        output = model([POINT])
        sens = [1.0] * sizes[0]
        found[name] = {
            "inputs": model.get_input_sizes(),
            "outputs": sizes,
            "supports": [
                model.supports_evaluate(),
                model.supports_gradient(),
                model.supports_apply_jacobian(),
                model.supports_apply_hessian(),
            ],
            "output": output,
            "zeros": model([[0.0, 0.0]]),
            "gradient": model.gradient(0, 0, [POINT], sens),
            "jacobian": model.apply_jacobian(0, 0, [POINT], [1.0, 2.0]),
            "later": model([POINT], {"time": 0.3}),
        }
    return found


def ask_inference(address: str) -> dict[str, object]:
    """Send tensors as bytes and as JSON, and get both."""
    client = inference.InferenceServerClient(address.removeprefix("http://"))
    found: dict[str, object] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model ready": client.is_model_ready("moving"),
        "version ready": client.is_model_ready("spot", "1"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata("moving"),
    }
    for as_bytes in (True, False):
        inputs = []
        for name, column in zip(("height", "power"), MANY.T, strict=True):
            tensor = inference.InferInput(name, [len(MANY)], "FP64")
            tensor.set_data_from_numpy(np.ascontiguousarray(column), binary_data=as_bytes)
            inputs.append(tensor)
        names = ("flux", "mean", "indicator", "in_range")
        outputs = [inference.InferRequestedOutput(n, binary_data=as_bytes) for n in names]
        result = client.infer("moving", inputs, outputs=outputs)
        found[f"bytes {as_bytes}"] = {n: result.as_numpy(n).tolist() for n in names}
        found["parameters"] = result.get_response()["parameters"]
    try:
        client.infer("none", inputs)
    except InferenceServerException as error:
        found["unknown"] = str(error)
    return found


def read_vtkhdf(address: str) -> dict[str, object]:
    """Download fields and read them with VTK's own reader."""
    where = f"{address}/api/models/moving/download?mu=height=0.4&mu=power=3.0"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fields.vtkhdf")
        with urllib.request.urlopen(where, timeout=60) as reply:
            path.write_bytes(reply.read())
        reader = vtkHDFReader()
        reader.SetFileName(str(path))
        reader.Update()
        found: dict[str, object] = {"steps": reader.GetNumberOfSteps(), "times": [], "flux": []}
        for step in range(reader.GetNumberOfSteps()):
            reader.SetStep(step)
            reader.Update()
            grid = reader.GetOutput()
            values = grid.GetPointData().GetArray("flux")
            found["times"].append(reader.GetTimeValue())
            found["flux"].append(vtk_to_numpy(values).tolist())
        found["points"] = vtk_to_numpy(grid.GetPoints().GetData()).tolist()
        found["cells"] = grid.GetNumberOfCells()
    return found


if __name__ == "__main__":
    where = sys.argv[1]
    answers = {
        "umbridge": ask_umbridge(where),
        "inference": ask_inference(where),
        "vtk": read_vtkhdf(where),
    }
    print(json.dumps(answers))
