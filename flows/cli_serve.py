"""Commands of the query service: ``romflow serve`` and ``romflow keys``."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

__all__ = ["add_serve_commands"]

_MODELS = Path("models")
_KEYS = Path(".romflow/keys.json")
_ENDS = "the service has ended; its jobs have ended with it."


def add_serve_commands(app: App) -> None:
    """Add the commands to ``romflow``."""
    app.command(_serve, name="serve")
    keys = App(name="keys", help="Keys of the query service.")
    keys.command(_add, name="add")
    keys.command(_list, name="list")
    keys.command(_revoke, name="revoke")
    app.command(keys)


def _serve(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8300,
    models: Path = _MODELS,
    keys: Path | None = None,
    name: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    no_jobs: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Serve reduced models: queries, pages, UM-Bridge, Open Inference.

    Parameters
    ----------
    host
        Address to listen at. Others than those of this machine need keys.
    port
        Its port; 0: any free one.
    models
        Folder of the registry.
    keys
        File of keys; default ``.romflow/keys.json`` if it is there. See `romflow keys`.
    name
        A further name by which clients may call the service where there are no keys.
    no_jobs
        Without simulations and enrichment, which need this machine's solvers.
    """
    from flows.endings import orderly_end
    from flows.serving import serve

    with orderly_end(_ENDS):
        return serve(host, port, models, _key_file(keys), name, with_jobs=not no_jobs)


def _add(
    name: str,
    *,
    scope: Annotated[tuple[str, ...], Parameter(negative="")] = ("query",),
    keys: Path = _KEYS,
) -> int:
    """Make a key. It is shown once, and stored nowhere.

    Parameters
    ----------
    name
        Whose it is.
    scope
        What it may do: query, enrich, admin; may be repeated.
    keys
        File of keys.
    """
    from rom.service.keys import KeyStore

    record, key = KeyStore(keys).add(name, scope)
    print(key)
    scopes = ", ".join(record.scopes)
    print(f"Key {record.id} of {record.name}, for {scopes}, in {keys}.", file=sys.stderr)
    print("Keep it: it is not shown again. Send it as X-API-Key, or as a bearer.", file=sys.stderr)
    return 0


def _list(*, keys: Path = _KEYS) -> int:
    """List the keys, without their secrets.

    Parameters
    ----------
    keys
        File of keys.
    """
    from rich.table import Table

    from flows.terminal import Terminal
    from rom.service.keys import KeyStore

    records = KeyStore(keys).records()
    if not records:
        print(f"No key in {keys}. Make one: romflow keys add NAME --scope query")
        return 0
    table = Table(title=f"Keys in {keys}", title_justify="left")
    for head in ("key", "name", "scopes", "created"):
        table.add_column(head)
    for record in records:
        table.add_row(record.id, record.name, ", ".join(record.scopes), record.created)
    Terminal().print(table)
    return 0


def _revoke(key: str, *, keys: Path = _KEYS) -> int:
    """Take a key back; a service that runs refuses it within a second.

    Parameters
    ----------
    key
        Its id, or the name of all keys that shall go.
    keys
        File of keys.
    """
    from rom.service.keys import KeyStore

    for record in KeyStore(keys).revoke(key):
        print(f"Revoked: {record.id} of {record.name}")
    return 0


def _key_file(given: Path | None) -> Path | None:
    if given is not None:
        return given
    return _KEYS if _KEYS.is_file() else None
