"""The model description of an FMU: which variables it has, and how it is to be called.

Source: Modelica Association, Functional Mock-up Interface for Model Exchange and Co-Simulation,
version 2.0.4 (2022), sections 2.2 and 4.3.
"""

from collections.abc import Sequence
from io import BytesIO
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from rom.export.fmu_numbers import Output
from rom.reduced_model import ReducedModel
from solvers.parameters import Parameter

__all__ = ["SOURCES", "model_description"]

SOURCES = ("fmi2.c", "evaluate.c", "reader.c")


def model_description(
    model: ReducedModel, outputs: Sequence[Output], identifier: str, guid: str
) -> bytes:
    """Return the file ``modelDescription.xml``.

    Parameters
    ----------
    model
        The model.
    outputs
        Variables that it computes, behind the free parameters in the order of value references.
    identifier
        Name of the library.
    guid
        Of this FMU.
    """
    free = model.parameters.space.free
    root = _root(model, guid)
    _capabilities(root, identifier)
    _units(root, [p.unit for p in free] + [o.unit for o in outputs])
    categories = SubElement(root, "LogCategories")
    SubElement(categories, "Category", name="logStatusError", description="What went wrong")
    _experiment(root, model)
    variables = SubElement(root, "ModelVariables")
    for reference, parameter in enumerate(free):
        _input(variables, reference, parameter)
    for reference, output in enumerate(outputs, len(free)):
        _output(variables, reference, output)
    _structure(root, len(free), len(outputs))
    indent(root)
    return _text(root)


def _root(model: ReducedModel, guid: str) -> Element:
    card = model.card
    fixed = [f"{p.name} = {p.low:g} {p.unit}" for p in card.space.parameters if p.fixed]
    words = [card.description or "A reduced model.", *fixed]
    return Element(
        "fmiModelDescription",
        fmiVersion="2.0",
        modelName=f"{model.name}, version {model.version}",
        guid=guid,
        description=_printable(" ".join(words)),
        generationTool=f"romflow {card.versions.get('romflow', '')}".strip(),
        generationDateAndTime=card.created.replace("+00:00", "Z"),
        variableNamingConvention="flat",
        numberOfEventIndicators="0",
    )


def _capabilities(root: Element, identifier: str) -> None:
    simulation = SubElement(
        root,
        "CoSimulation",
        modelIdentifier=identifier,
        canHandleVariableCommunicationStepSize="true",
        canInterpolateInputs="false",
        canRunAsynchronuously="false",  # the standard spells it so
        canBeInstantiatedOnlyOncePerProcess="false",
        canNotUseMemoryManagementFunctions="true",
        canGetAndSetFMUstate="true",
        canSerializeFMUstate="true",
        providesDirectionalDerivative="false",
    )
    files = SubElement(simulation, "SourceFiles")
    for name in SOURCES:
        SubElement(files, "File", name=name)


def _units(root: Element, units: Sequence[str]) -> None:
    found = [unit for unit in dict.fromkeys(units) if _has_unit(unit)]
    if not found:
        return
    definitions = SubElement(root, "UnitDefinitions")
    for unit in found:
        SubElement(definitions, "Unit", name=unit)


def _has_unit(unit: str) -> bool:
    return unit not in ("", "1")


def _experiment(root: Element, model: ReducedModel) -> None:
    if model.steady:
        return
    first, last = float(model.times[0]), float(model.times[-1])
    step = (last - first) / (len(model.times) - 1)
    SubElement(
        root, "DefaultExperiment", startTime=repr(first), stopTime=repr(last), stepSize=repr(step)
    )


def _input(variables: Element, reference: int, parameter: Parameter) -> None:
    trained = f"Trained from {parameter.low:g} to {parameter.high:g}."
    variable = SubElement(
        variables,
        "ScalarVariable",
        name=parameter.name,
        valueReference=str(reference),
        causality="input",
        variability="continuous",
        description=_printable(f"{parameter.description} {trained}"),
    )
    real = SubElement(variable, "Real", start=repr((parameter.low + parameter.high) / 2))
    if _has_unit(parameter.unit):
        real.set("unit", parameter.unit)


def _output(variables: Element, reference: int, output: Output) -> None:
    boolean = output.source == "in_range"
    variable = SubElement(
        variables,
        "ScalarVariable",
        name=output.name,
        valueReference=str(reference),
        causality="output",
        variability="discrete" if boolean else "continuous",
        initial="calculated",
        description=output.description,
    )
    value = SubElement(variable, "Boolean" if boolean else "Real")
    if not boolean and _has_unit(output.unit):
        value.set("unit", output.unit)


def _structure(root: Element, inputs: int, outputs: int) -> None:
    structure = SubElement(root, "ModelStructure")
    indices = [str(inputs + 1 + i) for i in range(outputs)]
    for group in ("Outputs", "InitialUnknowns"):
        entries = SubElement(structure, group)
        for index in indices:
            SubElement(entries, "Unknown", index=index)


def _printable(text: str) -> str:
    """Return a text without what XML cannot hold."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _text(root: Element) -> bytes:
    buffer = BytesIO()
    ElementTree(root).write(buffer, encoding="UTF-8", xml_declaration=True)
    return buffer.getvalue()
