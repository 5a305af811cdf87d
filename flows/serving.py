"""`romflow serve`: the query service of a registry, with Prefect behind its jobs."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.errors import UserError
from rom.registry import Registry
from rom.service.app import create_app
from rom.service.jobs import JobRunner
from rom.service.keys import KeyStore
from rom.service.running import RunningService
from rom.service.settings import ServiceSettings

__all__ = ["serve"]


def serve(
    host: str,
    port: int,
    models: Path,
    keys: Path | None,
    names: Sequence[str],
    *,
    with_jobs: bool,
) -> int:
    """Serve until the process is told to end; return the exit code.

    Parameters
    ----------
    host, port : where it listens
    models : folder of the registry
    keys : file of keys; None: no request needs one
    names : further names of the service
    with_jobs : whether simulations and enrichment are offered

    Raises
    ------
    UserError
        If the address is taken, or open to others without keys, or the file of keys is missing.
    """
    if keys is not None and not keys.is_file():
        raise UserError(
            f"--keys {keys}: expected a file of keys, received none. Make one: romflow keys add "
            f"NAME --scope query --keys {keys}"
        )
    settings = ServiceSettings(host=host, port=port, names=tuple(names))
    registry = Registry(models)
    store = None if keys is None else KeyStore(keys)
    with _runner(models, with_jobs=with_jobs) as jobs:
        service = RunningService(create_app(registry, settings, store, jobs), settings)
        count = len(registry.names())
        print(f"{count} models of {models} at {service.address}", file=sys.stderr, flush=True)
        service.run()
    return 0


@contextmanager
def _runner(models: Path, *, with_jobs: bool) -> Iterator[JobRunner | None]:
    if not with_jobs:
        yield None
        return
    from flows.environment import prefect

    with prefect(verbose=False) as wait_for_server:
        from flows.serve import prefect_jobs

        wait_for_server()
        jobs = prefect_jobs(models.absolute())
        try:
            yield jobs
        finally:
            jobs.close()
