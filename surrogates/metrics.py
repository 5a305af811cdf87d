"""Where the numbers of a training go: ``history.csv`` always, TensorBoard and MLflow by option."""

import csv
import importlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, final

from infra.errors import UserError, storage_errors
from infra.files import replace_durably
from surrogates.settings import LoggingSettings

__all__ = ["History", "Metrics", "MlflowMetrics", "TensorBoardMetrics", "open_metrics"]


class Metrics(ABC):
    """Receives named numbers with the step that they belong to."""

    @abstractmethod
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers down."""

    @abstractmethod
    def close(self) -> None:
        """Write everything out and free what is held."""


@final
class History(Metrics):
    """A CSV file with one line per report; names that a report lacks stay empty.

    A training that goes on from a checkpoint keeps the lines up to it.

    Parameters
    ----------
    path : the file
    columns : names, without ``step``, which comes first
    after : last step that is kept
    """

    def __init__(self, path: Path, columns: Sequence[str], after: int = 0) -> None:
        self._columns = ("step", *columns)
        kept = _lines_up_to(path, after, self._columns)
        head = StringIO(newline="")
        csv.writer(head).writerows([self._columns, *kept])
        with storage_errors(path):
            replace_durably(path, head.getvalue().encode())
            self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line."""
        named = {"step": step, **values}
        self._writer.writerow([named.get(name, "") for name in self._columns])
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@final
class TensorBoardMetrics(Metrics):
    """TensorBoard event files.

    Parameters
    ----------
    folder : where they go

    Raises
    ------
    UserError
        If the package is not installed.
    """

    def __init__(self, folder: Path) -> None:
        module = _optional("torch.utils.tensorboard", "tensorboard", "logging.tensorboard")
        self._writer = module.SummaryWriter(str(folder))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write scalars."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write everything out."""
        self._writer.close()


@final
class MlflowMetrics(Metrics):
    """A run of MLflow; through its client, so that no global address is set.

    Numbers are sent by a thread of MLflow's: a slow server does not hold up the training, and
    one that goes away in the middle ends its record, not the training.

    Parameters
    ----------
    address : tracking address, for example ``http://host:5000`` or ``sqlite:////data/runs.db``
    experiment : its name; it is made if there is none

    Raises
    ------
    UserError
        If the package is not installed, or the address does not work.
    """

    def __init__(self, address: str, experiment: str) -> None:
        mlflow = _optional("mlflow", "mlflow", "logging.mlflow")
        self._broken: type[Exception] = mlflow.exceptions.MlflowException
        try:
            self._client = mlflow.MlflowClient(address)
            found = self._client.get_experiment_by_name(experiment)
            number = found.experiment_id if found else self._client.create_experiment(experiment)
            self._run: str = self._client.create_run(number).info.run_id
        except self._broken as error:
            raise UserError(
                f"logging.mlflow: expected the address of a tracking server or database, received "
                f"{address!r}: {error}. Correct it, or leave this setting out."
            ) from error

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Send numbers."""
        for name, value in values.items():
            self._client.log_metric(self._run, name, value, step=step, synchronous=False)

    def close(self) -> None:
        """End the run."""
        try:
            self._client.set_terminated(self._run)
        except self._broken as error:
            print(f"MLflow: the end of the run could not be told: {error}", file=sys.stderr)


def open_metrics(
    settings: LoggingSettings, history: Path, tensorboard: Path, columns: Sequence[str], after: int
) -> tuple[Metrics, ...]:
    """Return everything that the settings ask for.

    Parameters
    ----------
    settings : what is asked for
    history, tensorboard : paths of the CSV file and of the event folder
    columns : of the CSV file
    after : last step of the checkpoint from which the training goes on, or 0

    Raises
    ------
    UserError
        If a package is not installed.
    """
    opened: list[Metrics] = []
    if settings.tensorboard:
        opened.append(TensorBoardMetrics(tensorboard))
    if settings.mlflow is not None:
        opened.append(MlflowMetrics(settings.mlflow, settings.experiment))
    return (History(history, columns, after), *opened)


def _optional(module: str, package: str, setting: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"{setting}: expected the package `{package}`, received: {error}. Install it "
            f"(`pip install {package}`), or leave this setting out."
        ) from error


def _lines_up_to(path: Path, step: int, columns: Sequence[str]) -> list[list[str]]:
    """Return the lines of an earlier run up to a step; none if the file is not one of ours."""
    if step == 0 or not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        header, *lines = [*csv.reader(file)] or [[]]
    if header != [*columns]:
        return []
    return [x for x in lines if len(x) == len(columns) and x[0].isdigit() and int(x[0]) <= step]
