"""The models that the service holds loaded."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from typing import final

from infra.array_folder import CHECKSUMS
from infra.errors import UserError, storage_errors
from rom.model_card import ModelCard
from rom.registry import Registry
from rom.served_model import ServedModel
from rom.service.metrics import Metrics
from rom.service.problem import ServiceError

__all__ = ["Models"]


@final
class Models:
    """Loads models when they are first asked for, and notices new versions.

    Used by one event loop.

    Parameters
    ----------
    registry
        Where they are.
    capacity
        How many are held; the one that was not used for longest gives way.
    refresh
        Seconds for which the list of versions is believed.
    executor
        Threads that read files.
    metrics
        Told how many are held.
    clock
        Gives seconds.
    """

    def __init__(
        self,
        registry: Registry,
        capacity: int,
        refresh: float,
        executor: Executor,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._capacity, self._refresh = registry, capacity, refresh
        self._executor, self._metrics, self._clock = executor, metrics, clock
        self._held: OrderedDict[tuple[str, int], ServedModel] = OrderedDict()
        self._loading: dict[tuple[str, int], asyncio.Future[ServedModel]] = {}
        self._versions: dict[str, tuple[float, tuple[int, ...]]] = {}
        self._digests: dict[tuple[str, int], str] = {}

    def names(self) -> tuple[str, ...]:
        """Return the names of all models."""
        return self._registry.names()

    def versions(self, name: str) -> tuple[int, ...]:
        """Return the versions of a model, ascending.

        Raises
        ------
        ServiceError
            With the status 404 if there is no such model.
        """
        now = self._clock()
        found = self._versions.get(name)
        if found and now < found[0]:
            return found[1]
        try:
            versions = self._registry.versions(name)
        except UserError as error:
            self._versions.pop(name, None)
            raise ServiceError.of(
                404,
                "unknown_model",
                f"a model out of {', '.join(self.names()) or 'none'}",
                repr(name),
            ) from error
        self._versions[name] = (now + self._refresh, versions)
        return versions

    def digest(self, name: str, version: int) -> str:
        """Return the SHA-256 over the checksums of a version's files, as hexadecimal text."""
        key = (name, version)
        if key not in self._digests:
            path = self._registry.folder(name, version) / CHECKSUMS
            with storage_errors(path):
                self._digests[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self._digests[key]

    def card(self, name: str, version: int | None = None) -> tuple[int, ModelCard]:
        """Return number and card of a version, by default of the newest.

        Raises
        ------
        ServiceError
            If there is no such model or version.
        """
        number = self._number(name, version)
        held = self._held.get((name, number))
        return number, held.card if held else self._registry.card(name, number)

    async def get(self, name: str, version: int | None = None) -> ServedModel:
        """Return a model, by default its newest version.

        Raises
        ------
        ServiceError
            If there is no such model or version.
        ChecksumError
            If its files are damaged.
        """
        key = (name, self._number(name, version))
        held = self._held.get(key)
        if held is not None:
            self._held.move_to_end(key)
            return held
        # Those who ask while it is being loaded wait for the same one.
        if key not in self._loading:
            loop = asyncio.get_running_loop()
            self._loading[key] = loop.run_in_executor(self._executor, self._registry.load_any, *key)
        loading = self._loading[key]
        try:
            model = await asyncio.shield(loading)
        finally:
            if loading.done():
                self._loading.pop(key, None)
        self._hold(key, model)
        return model

    def _number(self, name: str, version: int | None) -> int:
        versions = self.versions(name)
        if version is None:
            return versions[-1]
        if version not in versions:
            raise ServiceError.of(
                404, "unknown_version", f"a version of {name} out of {list(versions)}", str(version)
            )
        return version

    def _hold(self, key: tuple[str, int], model: ServedModel) -> None:
        self._held[key] = model
        self._held.move_to_end(key)
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)
        self._metrics.loaded(len(self._held))
