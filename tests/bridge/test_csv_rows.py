# SPDX-License-Identifier: GPL-2.0-only
"""One rule for CSV, whoever reads it: the same table in many guises, and what is refused."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import csv_rows
from bridge.csv_rows import FileRefused
from bridge.network import RequestError
from ns3_scenarios.scenarios import link_traces
from ns3_scenarios.world import background, recorded_movement
from ns3_scenarios.world.movement import Csv

READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "links": ("time_s,rate_bps\n0,1000\n1.5,2000\n", lambda file: link_traces.read(Path(file))),
    "movement": (
        "time_s,device,x_m,y_m\n0,0,1,2\n1.5,a,3,4\n",
        lambda file: recorded_movement.read_csv(Csv(file=file), ["a"], [(0.0, 0.0, 1.5)]),
    ),
    "background": (
        "time_s,bytes\n0,1000\n1.5,2000\n",
        lambda file: background.read_recording(background.Recorded(file=file)).tolist(),
    ),
}
GUISES: dict[str, Callable[[str], str]] = {
    "byte order mark": lambda text: "\ufeff" + text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
    "no end": lambda text: text.rstrip("\n"),
    "comments": lambda text: "# so it was\n" + text.replace("\n", '\n  # "and\n\n'),
    "quotes": lambda text: "".join(",".join(f'"{v}"' for v in line.split(",")) + "\n" for line in text.splitlines()),
    "blanks": lambda text: text.replace(",", " , ").replace("\n", " \n"),
    "an extra column": lambda text: "".join(f"{line},5\n" for line in text.splitlines()).replace(",5", ",note", 1),
    "an index without a name": lambda text: "".join(
        f"{i},{line}\n" for i, line in enumerate(text.splitlines())
    ).replace("0,", ",", 1),
    "semicolons": lambda text: text.replace(",", ";"),
    "tabs": lambda text: text.replace(",", "\t"),
    "another order": lambda text: "".join(
        ",".join(line.split(",")[1:] + line.split(",")[:1]) + "\n" for line in text.splitlines()
    ),
}


@pytest.mark.parametrize("guise", GUISES)
@pytest.mark.parametrize("reader", READERS)
def test_the_same_table_in_another_guise_reads_the_same(tmp_path, reader, guise):
    text, read = READERS[reader]
    (tmp_path / "plain").write_text(text)
    assert GUISES[guise](text) != text
    (tmp_path / "guise").write_bytes(GUISES[guise](text).encode())
    assert read(str(tmp_path / "guise")) == read(str(tmp_path / "plain"))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        (lambda text: text.replace("time_s", "Time_S"), ":1", "there is a column Time_S; is it time_s?"),
        (lambda text: text.replace("time_s", "when"), ":1", "no column time_s among when"),
        (lambda text: text + "9\n", ":4", "1 values for"),
        (lambda text: text.replace("1.5", "soon"), ":3", "time_s 'soon' is not a number from 0 to"),
        (lambda text: text.replace("1.5", "-1"), ":3", "time_s '-1' is not a number from 0 to"),
        (lambda text: text + '8,"\n', ":4", "not CSV: unexpected end of data"),
        (lambda _: "", "", "there is nothing in it"),
        (lambda _: "\n# only talk\n", "", "there is nothing in it"),
        (lambda text: text.encode("utf-16"), "", "cannot be read: not text in UTF-8"),
        (lambda text: text.partition("\n")[0], "", "no "),
    ],
)
def test_what_is_wrong_is_refused_by_file_and_line(tmp_path, reader, change, place, words):
    text, read = READERS[reader]
    file, changed = tmp_path / "bad", change(text)
    file.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    with pytest.raises((FileRefused, RequestError)) as refusal:
        read(str(file))
    assert f"{file}{place}: {words}" in str(refusal.value)


@pytest.mark.parametrize("reader", READERS)
def test_times_of_the_epoch_are_named_as_such(tmp_path, reader):
    text, read = READERS[reader]
    (tmp_path / "late").write_text(text.replace("\n0,", "\n1700000000123,").replace("1.5", "1700000001123"))
    with pytest.raises((FileRefused, RequestError), match=r":2: time_s '1700000000123' .*: a time of the epoch\?"):
        read(str(tmp_path / "late"))


words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=5).filter(lambda t: t[0] != "#")


@given(st.lists(st.tuples(words, words), max_size=5), st.sampled_from(["\n", "\r\n"]), st.sampled_from(",;\t"))
def test_what_python_s_csv_writes_is_read(tmp_path_factory, table, end, separator):
    """Any text in any quotes, as another writer puts it."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=end)
    writer.writerows([("a", "b"), *table])
    file = tmp_path_factory.mktemp("csv") / "a.csv"
    file.write_text(text.getvalue(), encoding="utf-8", newline="")
    found = [(row.values["a"], row.values["b"]) for row in csv_rows.rows(file, ["a", "b"])]
    assert found == table
