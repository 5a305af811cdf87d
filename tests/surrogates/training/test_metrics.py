import csv
import json
import math

from surrogates.metrics import History
from surrogates.progress_lines import ProgressLines


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_history_goes_on_after_the_checkpoint_and_forgets_what_came_later(tmp_path):
    path = tmp_path / "history.csv"
    first = History(path, ("loss", "error"))
    for step in range(1, 6):
        first.log(step, {"loss": 1.0 / step})
    first.close()
    second = History(path, ("loss", "error"), after=3)
    second.log(4, {"error": 0.5})
    second.close()
    rows = _rows(path)
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4]
    assert (rows[2]["loss"], rows[3]["loss"], rows[3]["error"]) == (str(1 / 3), "", "0.5")


def test_new_training_begins_a_new_history(tmp_path):
    path = tmp_path / "history.csv"
    for _ in range(2):
        history = History(path, ("loss",))
        history.log(1, {"loss": 1.0})
        history.close()
    assert len(_rows(path)) == 1


def test_history_of_other_columns_is_begun_anew(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("step,other\n1,2\n")
    History(path, ("loss",), after=5).close()
    assert _rows(path) == []


def test_lines_are_json_also_for_numbers_that_json_does_not_have():
    said = []
    lines = ProgressLines(said.append, 0.0)
    lines.send("validated", error=math.nan, fields={"u": math.inf, "v": 1.0}, step=3)
    found = json.loads(said[0], parse_constant=float)
    assert (found["event"], found["error"], found["step"]) == ("validated", None, 3)
    assert found["fields"] == {"u": None, "v": 1.0}


def test_lines_of_progress_are_limited_in_rate_and_others_are_not():
    said = []
    lines = ProgressLines(said.append, 1e9)
    for step in range(5):
        if lines.due:
            lines.now_and_then("training", step=step)
        lines.send("checkpoint", step=step)
    assert [json.loads(line)["event"] for line in said].count("training") == 1
    assert len(said) == 6
