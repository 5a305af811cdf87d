"""Reduced models as functional mock-up units (FMI 2.0 for co-simulation).

An FMU is a ZIP file with a description, a compiled library, and here the numbers of the model. It
needs neither Python nor romflow: system simulators load the library and call it. The library is
the same for all models; its source is in the FMU, so that it can be compiled for other systems.

At the time t of a step the outputs are those of the trajectory with the present parameters.
"""

import hashlib
import re
import subprocess
import tempfile
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import final

import numpy as np

from infra.errors import RomflowError, UserError, storage_errors
from infra.files import replace_durably
from rom.basis import RestrictedBasis
from rom.export.fmu_description import SOURCES, model_description
from rom.export.fmu_numbers import Output, model_numbers
from rom.reduced_model import ReducedModel
from rom.selection import Select

__all__ = ["CompilerError", "Probe", "export_fmu"]

_HEADER = "romflow_model.h"
_OPTIONS = (
    "-std=c99", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra",
    # Sums in any order: several numbers at a time.
    "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math",
)  # fmt: skip
# Years before 1980 do not exist in ZIP files; equal models give equal bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_TRUST = (
    ("indicator", "indicator", "Indicator of the relative error of the fields"),
    ("in_range", "in_range", "Whether the parameters are in the trained range"),
    ("range_score", "score", "At most 1 in the trained range, larger the farther out"),
    ("distance", "distance", "To the nearest training point, in unit coordinates"),
)


class CompilerError(RomflowError):
    """There is no C compiler, or it failed."""


@final
@dataclass(frozen=True)
class Probe:
    """A position at which the FMU gives the value of a field.

    Attributes
    ----------
    field
        Its name.
    point
        Coordinates, m.
    """

    field: str
    point: tuple[float, ...]


def export_fmu(
    model: ReducedModel,
    path: Path,
    quantities: Sequence[str] = (),
    probes: Sequence[Probe] = (),
    compiler: str = "gcc",
) -> None:
    """Write a model as an FMU.

    Parameters
    ----------
    model
        Its regressors are Gaussian processes or radial bases.
    path
        The file; one that exists is replaced.
    quantities
        Names of the quantities that are outputs; none: all.
    probes
        Values of fields that are outputs too.
    compiler
        Command of a C compiler with the options of gcc.

    Raises
    ------
    UserError
        If a name is unknown, names meet, or the model is of a kind that C does not know.
    CompilerError
        If there is no compiler, or it failed.
    StorageFullError, StorageAccessError
        If the file cannot be written.
    """
    lifted = _lifted(model, probes)
    outputs = [*_quantities(model, quantities), *_probe_outputs(model, probes), *_trust_outputs()]
    _require_text([output.name for output in outputs])
    _require_distinct([*model.parameters.names, *(output.name for output in outputs)])
    numbers = model_numbers(model, outputs, lifted)
    identifier = re.sub(r"\W", "_", f"romflow_{model.name}", flags=re.ASCII)
    data = numbers.astype("<f8").tobytes()
    guid = "{" + str(uuid.uuid5(uuid.NAMESPACE_OID, _digest(data, outputs))) + "}"
    contents = {
        "modelDescription.xml": model_description(model, outputs, identifier, guid),
        "resources/model.bin": data,
        f"binaries/linux64/{identifier}.so": _library(compiler),
    } | {f"sources/{name}": _source(name) for name in (*SOURCES, _HEADER)}
    _write(path, contents)


def _quantities(model: ReducedModel, names: Sequence[str]) -> list[Output]:
    held = model.parts.quantities
    unknown = [name for name in names if name not in held.names]
    if unknown:
        raise UserError(
            f"Expected quantities out of {', '.join(held.names) or 'none'}; received {unknown}."
        )
    return [
        Output(name, held.units[name], f"Quantity of interest {name}", source, index)
        for source, group in (("series", held.series), ("single", held.single))
        if group is not None
        for index, name in enumerate(group.names)
        if not names or name in names
    ]


def _lifted(model: ReducedModel, probes: Sequence[Probe]) -> RestrictedBasis | None:
    if not probes:
        return None
    rows = [model.rows(Select.probes([p.point], p.field)).basis for p in probes]
    centres = [row.centre for row in rows if row.centre is not None]
    return RestrictedBasis(
        np.concatenate([row.modes for row in rows]), np.concatenate(centres) if centres else None
    )


def _probe_outputs(model: ReducedModel, probes: Sequence[Probe]) -> list[Output]:
    units = {info.name: info.units for info in model.parts.space.fields}
    outputs = []
    for index, probe in enumerate(probes):
        place = ", ".join(repr(x) for x in probe.point)
        name = f"{probe.field}({place})"
        words = f"Field {probe.field} at ({place}) m"
        outputs.append(Output(name, units[probe.field], words, "lifted", index))
    return outputs


def _trust_outputs() -> list[Output]:
    return [Output(name, "1", words, source) for name, source, words in _TRUST]


def _require_distinct(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(
            f"Expected distinct names of variables; received twice: {', '.join(twice)}. Name the "
            "quantities that are outputs without it, move the probe, or build the model with "
            f"other names: {', '.join(name for name, *_ in _TRUST)} are the FMU's own."
        )


def _require_text(names: Sequence[str]) -> None:
    bad = [name for name in names if not name.isprintable() or not name.strip()]
    if bad:
        raise UserError(
            f"Expected names that can be printed; received {', '.join(map(repr, bad))}. Leave the "
            "quantity out, or build the model with another name for it."
        )


def _digest(data: bytes, outputs: Sequence[Output]) -> str:
    return hashlib.sha256(data + repr(outputs).encode()).hexdigest()


def _source(name: str) -> bytes:
    return files("rom.export").joinpath("fmu_source", name).read_bytes()


def _library(compiler: str) -> bytes:
    """Return the compiled library."""
    with tempfile.TemporaryDirectory(prefix="romflow-fmu-") as folder:
        for name in (*SOURCES, _HEADER):
            (Path(folder) / name).write_bytes(_source(name))
        command = [compiler, *_OPTIONS, "-o", "model.so", *SOURCES, "-lm"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        except OSError as error:
            raise CompilerError(
                f"Expected a C compiler as the command {compiler!r}; it cannot be started: "
                f"{error.strerror}. Install gcc, or name another one."
            ) from error
        made = Path(folder) / "model.so"
        if done.returncode or not made.exists():
            raise CompilerError(
                f"Expected {compiler!r} to compile the library of an FMU; it ended with code "
                f"{done.returncode}: {done.stderr.strip() or 'it said nothing'}. Name another "
                "compiler, with the options of gcc."
            )
        return made.read_bytes()


def _write(path: Path, contents: Mapping[str, bytes]) -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    if path.is_dir():
        raise UserError(f"Expected the name of a file; received the folder {path}.")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(path, buffer.getvalue())
