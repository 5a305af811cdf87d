import dataclasses
import json
import math

import numpy as np
import pytest

from infra.errors import StoreError
from infra.moments import NOTHING, ArrayStatistics
from infra.records import (
    CommitRecord,
    FailureRecord,
    Provenance,
    Record,
    Sample,
    SolveReport,
    from_dict,
    from_json,
    to_dict,
    to_json,
)
from infra.testing import example_failure, example_provenance, example_report

SAMPLE = Sample(3, {"viscosity": 0.1, "tiny": 5e-324}, 2**63 + 1)
RECORDS: dict[type, Record] = {
    Sample: SAMPLE,
    SolveReport: dataclasses.replace(example_report(), values={"cfl": 0.3}),
    Provenance: example_provenance(),
    FailureRecord: example_failure(SAMPLE),
    CommitRecord: CommitRecord(
        SAMPLE,
        {"velocity": "ab"},
        dataclasses.replace(example_report(), values={}),
        example_provenance(),
        {"velocity": ArrayStatistics(3, 0.5, 0.1, 0.1, 0.9)},
    ),
}


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_record_survives_json_exactly(kind: type) -> None:
    assert from_json(kind, to_json(RECORDS[kind])) == RECORDS[kind]
    assert from_dict(kind, to_dict(RECORDS[kind])) == RECORDS[kind]


def test_statistics_of_nothing_survive_in_strict_json() -> None:
    record = dataclasses.replace(RECORDS[CommitRecord], statistics={"force": NOTHING})  # type: ignore[type-var] # one of them
    back = from_json(CommitRecord, to_json(record)).statistics["force"]
    assert back.count == 0
    assert math.isnan(back.mean)
    assert math.isnan(back.maximum)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_that_json_lacks_survive_in_strict_json(value: float) -> None:
    report = dataclasses.replace(example_report(), values={"cfl": value})

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    json.loads(to_json(report), parse_constant=refuse)
    back = from_json(SolveReport, to_json(report)).values["cfl"]
    assert back == value or (math.isnan(back) and math.isnan(value))


@pytest.mark.parametrize(
    "text", ["", "{", "{}", '{"index": "one", "mu": {}, "seed": 1}', '{"index": 1, "colour": 2}']
)
def test_faulty_text_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="Expected the record Sample"):
        from_json(Sample, text)


def test_an_array_among_the_values_is_refused() -> None:
    wrong = {"cfl": np.zeros(2)}
    report = dataclasses.replace(example_report(), values=wrong)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="Expected plain Python values"):
        to_json(report)
