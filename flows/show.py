"""`romflow show`: a dataset's table, picture and animation."""

from pathlib import Path
from typing import cast

from matplotlib.figure import Figure

from flows.figures import (
    FieldName,
    is_transient,
    save,
    save_animation,
    snapshot_figure,
    steady_figure,
    transient_figure,
)
from flows.report import print_dataset
from flows.terminal import Terminal
from infra.catalog import Catalog
from infra.catalog_entry import CatalogEntry
from infra.errors import UserError
from infra.store import SnapshotStore
from infra.zarr_store import open_store

__all__ = ["find_dataset", "show_dataset"]


def show_dataset(
    dataset: str,
    catalog: Path,
    sample: int | None,
    frame: int | None,
    field: str | None,
    output: Path | None,
    animation: Path | None,
) -> int:
    """Print the tables of a dataset and save the pictures; return the exit code.

    Raises
    ------
    UserError
        If there is no such dataset, sample, frame or field.
    """
    store, root, entry = find_dataset(dataset, catalog)
    if not len(store.times):
        _refuse_time(store, frame, animation)
    console = Terminal()
    print_dataset(console, store, entry)
    committed = sorted(store.committed())
    if not committed:
        console.print("No sample is committed yet: there is nothing to draw.")
        return 1
    chosen = committed[0] if sample is None else sample
    path = save(_figure(store, chosen, frame, field), output or root / f"sample-{chosen:06d}.png")
    console.print(f"picture: {path}", soft_wrap=True)
    if animation is not None:
        saved = save_animation(store, chosen, animation, field)
        console.print(f"animation: {saved}", soft_wrap=True)
    return 0


def find_dataset(dataset: str, catalog: Path) -> tuple[SnapshotStore, Path, CatalogEntry | None]:
    """Return the store of a dataset, its folder, and its catalogue entry if it has one.

    Parameters
    ----------
    dataset : a folder, or a name in the catalogue
    catalog : folder of the catalogue

    Raises
    ------
    UserError
        If it is neither.
    """
    known = Catalog(catalog)
    folder = Path(dataset)
    if (folder / "data.zarr").is_dir():
        entries = [known.load(name) for name in known.names() if name == folder.resolve().name]
        here = [e for e in entries if Path(e.location) == folder.resolve()]
        return open_store(folder), folder, here[0] if here else None
    if dataset in known.names():
        entry = known.load(dataset)
        return open_store(Path(entry.location)), Path(entry.location), entry
    raise UserError(
        f"dataset {dataset}: expected the folder of a dataset, or one of the catalogue "
        f"({', '.join(known.names()) or 'which is empty'}). Generate one: romflow run "
        "generate-ns-data, or another flow of `romflow run --help`"
    )


def _figure(store: SnapshotStore, sample: int, frame: int | None, field: str | None) -> Figure:
    if not len(store.times):
        return steady_figure(store, sample, field)
    frame = -1 if frame is None else frame
    if is_transient(store.description):
        return transient_figure(store, sample, frame, field)
    # An unknown name is refused there, with the known ones.
    return snapshot_figure(store, sample, frame, cast(FieldName | None, field))


def _refuse_time(store: SnapshotStore, frame: int | None, animation: Path | None) -> None:
    """Refuse what a dataset without time cannot show."""
    given = {"--frame": frame, "--animation": animation}
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise UserError(
            f"{' and '.join(wrong)}: expected a dataset with time, received "
            f"{store.description.name}, whose samples are steady solutions. Leave it out."
        )
