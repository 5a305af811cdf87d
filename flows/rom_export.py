"""`romflow export`: a reduced model for other programs."""

from collections.abc import Sequence
from pathlib import Path

from infra.errors import UserError
from rom.export.fmu import Probe, export_fmu
from rom.reduced_model import ReducedModel

__all__ = ["export", "parse_probe"]


def export(
    model: ReducedModel,
    *,
    fmu: bool,
    output: Path | None,
    quantities: Sequence[str],
    probes: Sequence[str],
    compiler: str,
) -> Path:
    """Write a model in a form of other programs; return the file.

    Parameters
    ----------
    model
        The model.
    fmu
        The form: there is one so far.
    output
        The file; None: the model's name in this folder.
    quantities, probes
        Outputs: names of quantities, and texts for `parse_probe`.
    compiler
        Command of the C compiler.

    Raises
    ------
    UserError
        If no form is named, or an output is unknown.
    """
    if not fmu:
        raise UserError("Expected a form to export to; received none. Add --fmu.")
    path = output or Path(f"{model.name}.fmu")
    if path.suffix != ".fmu" or path.is_dir():
        raise UserError(
            "--output: expected the name of a file that ends with .fmu, such as model.fmu; "
            f"received {path}"
        )
    fields = tuple(info.name for info in model.parts.space.fields)
    places = [parse_probe(text, fields) for text in probes]
    export_fmu(model, path, quantities, places, compiler)
    return path


def parse_probe(text: str, fields: Sequence[str]) -> Probe:
    """Return the probe of a text ``field=x,y``.

    Raises
    ------
    UserError
        For another form, or an unknown field.
    """
    field, _, place = text.partition("=")
    try:
        point = tuple(float(x) for x in place.split(","))
    except ValueError:
        point = ()
    if not point or field not in fields:
        raise UserError(
            f"--probe {text}: expected field=x,y with a field out of {', '.join(fields)} and "
            f"coordinates in metres, for example {fields[0]}=0.1,0.2"
        )
    return Probe(field, point)
