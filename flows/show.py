"""`romflow show`: a dataset's table, picture and animation."""

from pathlib import Path
from typing import Literal

from rich.console import Console

from flows.figures import save, save_animation, snapshot_figure
from flows.report import print_dataset
from infra.catalog import Catalog
from infra.catalog_entry import CatalogEntry
from infra.errors import UserError
from infra.store import SnapshotStore
from infra.zarr_store import open_store

__all__ = ["find_dataset", "show_dataset"]

type Field = Literal["speed", "vorticity", "pressure"]


def show_dataset(
    dataset: str,
    catalog: Path,
    sample: int | None,
    frame: int,
    field: Field | None,
    output: Path | None,
    animation: Path | None,
) -> int:
    """Print the tables of a dataset and save the pictures; return the exit code.

    Raises
    ------
    UserError
        If there is no such dataset, sample or frame.
    """
    store, root, entry = find_dataset(dataset, catalog)
    console = Console()
    print_dataset(console, store, entry)
    committed = sorted(store.committed())
    if not committed:
        console.print("No sample is committed yet: there is nothing to draw.")
        return 1
    chosen = committed[0] if sample is None else sample
    figure = snapshot_figure(store, chosen, frame, field)
    path = save(figure, output or root / f"sample-{chosen:06d}.png")
    console.print(f"picture: {path}", soft_wrap=True)
    if animation is not None:
        saved = save_animation(store, chosen, animation, field or "vorticity")
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
        "generate-ns-data"
    )
