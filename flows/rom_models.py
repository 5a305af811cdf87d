"""Finding a reduced model: by its name in a registry, or by its folder."""

from pathlib import Path
from typing import Any

from infra.array_folder import is_array_folder
from infra.errors import StoreError, UserError
from infra.store import SnapshotStore
from infra.zarr_store import open_store
from rom.any_model import AnyModel, load_any
from rom.reduced_model import ReducedModel
from rom.registry import Registry

__all__ = ["dataset_of", "find_any", "find_model", "held_out_of", "models_text"]


def find_model(model: str, registry: Path, version: int | None = None) -> ReducedModel:
    """Return a model of fields; see `find_any`.

    Raises
    ------
    UserError
        Also if it is a structure.
    """
    found = find_any(model, registry, version)
    if isinstance(found, ReducedModel):
        return found
    raise UserError(
        f"model {model}: expected a model of fields, received a structure. This is not offered for "
        "it; ask with `romflow query`, also with --full for the full-order model"
    )


def find_any(model: str, registry: Path, version: int | None = None) -> AnyModel:
    """Return a model of any kind.

    Parameters
    ----------
    model : name in the registry, or folder of a saved model
    registry : folder of the registry
    version : of the name; None: the newest

    Raises
    ------
    UserError
        If there is none, or a version is given for a folder.
    ChecksumError
        If a file of it is damaged.
    """
    folder = Path(model)
    if is_array_folder(folder):
        if version is not None:
            raise UserError(
                f"--version: expected none, for {model} is the folder of one version, received "
                f"{version}. Leave it out, or give the model's name."
            )
        number = folder.resolve().name
        known = int(number[1:]) if number[:1] == "v" and number[1:].isdigit() else 0
        return load_any(folder, version=known)
    known_names = Registry(registry).names()
    if model not in known_names:
        raise UserError(
            f"model {model}: expected a name out of {', '.join(known_names) or 'none'} in "
            f"{registry}, or the folder of a model. Build one: romflow run build-rom"
        )
    return Registry(registry).load_any(model, version)


def models_text(registry: Path) -> list[tuple[str, str, str, str, str]]:
    """Return name, version, parameters, held-out error and sentence of all models."""
    known = Registry(registry)
    rows = []
    for name in known.names():
        version = known.versions(name)[-1]
        card = known.card(name, version)
        measured: Any = card.lineage.get("evaluation", {})
        error = measured.get("median_error", card.trust.median_error)
        varied = ", ".join(p.name for p in card.parameters if p.low < p.high)
        rows.append((name, str(version), varied, f"{error:.2%}", card.description))
    return rows


def dataset_of(model: ReducedModel) -> SnapshotStore:
    """Return the dataset that a model was built from.

    Raises
    ------
    UserError
        If the model does not know it, or it is gone.
    """
    place = model.card.lineage.get("dataset")
    if not isinstance(place, str):
        raise UserError(
            f"Expected a model that knows its dataset; {model.name} does not. Build it with "
            "`romflow run build-rom`."
        )
    try:
        store = open_store(Path(place))
    except StoreError as error:
        raise UserError(
            f"Expected the dataset of {model.name} at {place}; {error} Put it back, generate it "
            "again with `romflow run build-rom`, or compare with --mu."
        ) from error
    stored, known = store.description.digest, model.card.lineage.get("layout")
    if known is not None and stored != known:
        raise UserError(
            f"Expected the dataset that {model.name} was built from at {place}; received another "
            "one. Compare with --mu, or build the model again."
        )
    return store


def held_out_of(model: ReducedModel, store: SnapshotStore) -> list[int]:
    """Return the held-out samples of a model that are in its dataset.

    Raises
    ------
    UserError
        If there are none.
    """
    asked: Any = model.card.lineage.get("held_out") or []
    found = sorted(set(asked) & store.committed())
    if not found:
        raise UserError(
            f"Expected held-out simulations of {model.name}; it has none. Build it with "
            "`validation` above 0, or compare with fresh ones: --mu name=value"
        )
    return found
