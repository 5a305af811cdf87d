"""Predictions of a saved surrogate: which frames stand at which times."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flows.predict import predict
from infra.errors import UserError
from infra.field_space import FieldInfo, FieldSpace
from surrogates.architectures import build_surrogate
from surrogates.batch import Batch
from surrogates.inputs import InputSpec
from surrogates.saving import save_model
from surrogates.surrogate import Mode, Surrogate

# Not evenly spaced, as output times may be.
TIMES = (0.5, 0.7, 0.9, 1.1, 2.0)
SPACE = FieldSpace((FieldInfo("heat", "K", 3, "vertex"), FieldInfo("damp", "1", 2, "cell")))
START = np.array([300.0, 310.0, 305.0, 0.2, 0.4], np.float32)
MU = ["a=3"]


def surrogate_of(mode: Mode, times: tuple[float, ...] = TIMES) -> Surrogate:
    """Return an untrained surrogate that changes what it is given."""
    ends = (min(TIMES), max(TIMES))
    inputs = InputSpec(("a", "time"), (0.0, ends[0]), (10.0, ends[1]), output_times=times)
    made = build_surrogate("mlp", SPACE, inputs, mode, {"hidden": [8]}, seed=2)
    random = torch.Generator().manual_seed(4)
    frames = [torch.from_numpy(START) + torch.rand(6, 5, generator=random) for _ in range(2)]
    state = frames[1] if mode == "autoregressive" else None
    made.observe(Batch.of(torch.rand(6, 2, generator=random), frames[0], state))
    made.eval()
    return made


@pytest.fixture
def stepping(tmp_path: Path) -> Path:
    """Save a surrogate that steps from one output time to the next."""
    save_model(surrogate_of("autoregressive"), tmp_path / "stepping")
    return tmp_path / "stepping"


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a frame, and what else is wished, into an NPZ file."""

    def write(**others: Any) -> Path:
        arrays = {"heat": START[:3].astype(np.float64), "damp": START[3:], **others}
        np.savez(tmp_path / "start.npz", **arrays)
        return tmp_path / "start.npz"

    return write


def stepped(first: int) -> dict[float, np.ndarray]:
    """Step by hand from an output time to the last; return the frames by time."""
    model, frame = surrogate_of("autoregressive"), torch.from_numpy(START)[None]
    frames = {TIMES[first]: frame}
    with torch.no_grad():
        for before, after in pairwise(TIMES[first:]):
            frame = model(torch.tensor([[3.0, before]]), frame)
            frames[after] = frame
    return {time: values[0].numpy() for time, values in frames.items()}


def together(found: Any) -> np.ndarray:
    return np.concatenate([found.frames["heat"], found.frames["damp"]], axis=1)


@pytest.mark.parametrize("first", [0, 1, 4])
def test_frames_are_those_of_steps_through_the_output_times_of_the_training(
    stepping: Path, start: Callable[..., Path], first: int
) -> None:
    expected = stepped(first)
    asked = [t for t in (2.0, 0.7, 1.1, 2.0) if t in expected]
    found = predict(stepping, MU, asked, start=start(time=TIMES[first]))
    np.testing.assert_array_equal(found.times, asked)
    np.testing.assert_array_equal(together(found), [expected[t] for t in asked])


def test_without_times_the_last_one_is_predicted_from_the_first(
    stepping: Path, start: Callable[..., Path]
) -> None:
    found = predict(stepping, MU, [], start=start())
    np.testing.assert_array_equal(found.times, [2.0])
    np.testing.assert_array_equal(together(found), [stepped(0)[2.0]])
    assert not np.array_equal(together(found)[0], START)


def test_a_written_frame_can_be_gone_on_from(
    stepping: Path, start: Callable[..., Path], tmp_path: Path
) -> None:
    predict(stepping, MU, [0.9], start=start(), output=tmp_path / "half.npz")
    found = predict(stepping, MU, [2.0], start=tmp_path / "half.npz")
    np.testing.assert_array_equal(together(found), [stepped(0)[2.0]])


def test_rounded_times_are_the_output_times_that_they_stand_for(
    stepping: Path, start: Callable[..., Path]
) -> None:
    found = predict(stepping, MU, [0.90000001], start=start(time=np.float32([0.7])))
    np.testing.assert_array_equal(found.times, [0.9])


@pytest.mark.parametrize(
    ("asked", "begun", "message"),
    [
        (0.8, 0.5, r"--time: expected one of .* received 0\.8; the nearest: 0\.7 or 0\.9"),
        (2.2, 0.5, r"received 2\.2; the nearest: 2$"),
        (0.1, 0.5, r"received 0\.1; the nearest: 0\.5$"),
        (np.nan, 0.5, "received nan"),
        (0.7, 0.9, r"from that of --start on, 0\.9 s, received 0\.7 s"),
        (0.9, 0.6, r"start\.npz: `time`: expected .* received 0\.6; the nearest: 0\.5 or 0\.7"),
        (0.9, [0.5, 0.7], "expected one `time`, received 2"),
    ],
)
def test_times_off_the_output_times_or_before_the_start_are_refused(
    stepping: Path, start: Callable[..., Path], asked: float, begun: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        predict(stepping, MU, [asked], start=start(time=begun))


def test_a_stepping_surrogate_without_output_times_is_refused(
    start: Callable[..., Path], tmp_path: Path
) -> None:
    save_model(surrogate_of("autoregressive", ()), tmp_path / "old")
    with pytest.raises(UserError, match="output times of the training"):
        predict(tmp_path / "old", MU, [0.7], start=start())


def test_a_direct_surrogate_predicts_at_any_time_and_needs_no_start(
    start: Callable[..., Path], tmp_path: Path
) -> None:
    save_model(surrogate_of("direct"), tmp_path / "direct")
    asked = [0.8, 0.1, 3.0]
    found = predict(tmp_path / "direct", MU, asked)
    with torch.no_grad():
        expected = surrogate_of("direct")(torch.tensor([[3.0, t] for t in asked]))
    np.testing.assert_array_equal(found.times, asked)
    np.testing.assert_allclose(together(found), expected.numpy(), rtol=1e-6)
    assert predict(tmp_path / "direct", MU, []).times == [2.0]
    with pytest.raises(UserError, match="needs no state"):
        predict(tmp_path / "direct", MU, asked, start=start())


def _array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, START)


def _truncated(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _damaged(path: Path) -> None:
    np.savez_compressed(path, heat=START[:3], damp=START[3:])
    data = bytearray(path.read_bytes())
    data[60:120] = bytes(60)
    path.write_bytes(data)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("heat: 300")


def _absent(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [_array, _truncated, _damaged, _empty, _text, _absent, _folder])
def test_a_start_that_is_no_npz_file_is_a_users_error(
    stepping: Path, start: Callable[..., Path], spoil: Callable[[Path], None]
) -> None:
    path = start()
    spoil(path)
    with pytest.raises(
        UserError, match=r"--start .*expected an NPZ file with the fields heat, damp"
    ):
        predict(stepping, MU, [2.0], start=path)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"heat": np.ones(4)}, "expected 3 values of heat, received 4"),
        ({"heat": np.array([1.0, np.nan, 1.0])}, "finite values of heat"),
        ({"heat": np.full(3, 1e39)}, "finite values of heat"),
        ({"heat": np.ones(3, complex)}, "expected an NPZ file"),
        ({"heat": np.array(["a", "b", "c"])}, "expected an NPZ file"),
        ({"heat": np.array([{}, {}, {}], object)}, "expected an NPZ file"),
        ({"time": np.array("soon")}, "expected an NPZ file"),
    ],
)
def test_a_start_with_other_values_is_a_users_error(
    stepping: Path, start: Callable[..., Path], others: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        predict(stepping, MU, [2.0], start=start(**others))


def test_a_start_without_a_field_is_named(stepping: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "part.npz", heat=START[:3])
    with pytest.raises(UserError, match="received none of damp"):
        predict(stepping, MU, [2.0], start=tmp_path / "part.npz")
    with pytest.raises(UserError, match=r"expected an NPZ file .*received none"):
        predict(stepping, MU, [2.0])
