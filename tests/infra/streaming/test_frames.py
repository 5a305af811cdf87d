from dataclasses import replace

import numpy as np
import pytest

from infra.errors import NotFiniteError, UserError
from infra.layout import ArraySpec
from infra.streaming.frames import FrameKey, StreamSpec, frame_digest, stream_spec
from infra.streaming.parts import PartAssembly
from infra.streaming.values import fill_values
from infra.testing import small_layout, timeless_layout


def test_the_stream_of_a_dataset_is_its_floating_fields() -> None:
    description = small_layout().description
    spec = stream_spec(description)
    # The integers on faces, the series and the arrays without time stay out.
    assert spec.fields == (("velocity", 6), ("pressure", 6))
    assert (spec.n_samples, spec.n_frames, spec.n_values) == (3, 4, 12)
    assert spec.frame_bytes == 48
    assert spec.slices == {"velocity": slice(0, 6), "pressure": slice(6, 12)}
    assert spec.study == description.digest


def test_the_stream_of_a_steady_dataset_is_its_solution() -> None:
    layout = timeless_layout()
    solution = ArraySpec("u", ("sample", "node"), "1", "u", attrs={"role": "solution"})
    described = replace(layout, arrays=(*layout.arrays, solution)).description
    assert stream_spec(described).fields == (("u", 6),)
    assert stream_spec(described).n_frames == 1


def test_a_dataset_without_fields_has_no_stream() -> None:
    with pytest.raises(UserError, match="role `solution`"):
        stream_spec(timeless_layout().description)


def test_keys_are_ordered_by_sample_attempt_and_step() -> None:
    keys = [FrameKey(1, 2, 3), FrameKey(1, 1, 9), FrameKey(0, 5, 5), FrameKey(1, 2, 0)]
    assert sorted(keys) == [keys[2], keys[1], keys[3], keys[0]]


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "f2"])
@pytest.mark.parametrize("size", [5, (1 << 16) + 3, 200_000])
def test_every_precision_order_and_stride_gives_the_same_float32(dtype: str, size: int) -> None:
    spec = StreamSpec("study", (("u", size),), 1, 1)
    values = np.linspace(-1.0, 1.0, 2 * size).astype(dtype)[::2]
    out = np.empty(size, "<f4")
    digest = fill_values(spec, None, values, out)
    np.testing.assert_array_equal(out, values.astype("<f4"))
    assert digest == frame_digest(out) == fill_values(spec, None, {"u": values}, out)


@pytest.mark.parametrize("place", [0, 65_535, 65_536, 149_999])
@pytest.mark.parametrize("bad", [np.nan, -np.inf, -1e39])
def test_one_bad_value_anywhere_is_found_and_named(place: int, bad: float) -> None:
    spec = StreamSpec("study", (("u", 100_000), ("p", 50_000)), 1, 1)
    values = np.zeros(150_000)
    values[place] = bad
    field = "u" if place < 100_000 else "p"
    with pytest.raises(NotFiniteError, match=f"1 values of `{field}`"):
        fill_values(spec, None, values, np.empty(150_000, "<f4"))


def test_parts_are_put_together_once_and_repeats_replace_themselves() -> None:
    parts = PartAssembly(5)
    assert parts.add(7, 3, np.array([9.0, 9.0], "f4")) is None
    assert parts.add(7, 3, np.array([4.0, 5.0], "f4")) is None
    assert parts.add(8, 0, np.zeros(3, "f4")) is None
    whole = parts.add(7, 0, np.array([1.0, 2.0, 3.0], "f4"))
    assert whole is not None
    np.testing.assert_array_equal(whole, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert parts.steps == {8}
