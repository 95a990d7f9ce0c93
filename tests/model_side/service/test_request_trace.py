# SPDX-License-Identifier: Apache-2.0
"""Recorded arrivals: what is read, and what is refused with its line. All rows here are of our own making."""

import tracemalloc
from pathlib import Path

import pytest

from bridge.network import NS_PER_S, RequestError
from model_side.service.request_trace import read_trace

OWN = "time_s,prompt_tokens,new_tokens"
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens"
BURST_GPT = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"


def written(folder: Path, *rows: str) -> Path:
    path = folder / "trace.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def read(folder: Path, *rows: str) -> list[tuple[int, int, int]]:
    return [row[:3] for row in read_trace(written(folder, *rows))]


def test_our_own_columns_in_any_order_count_from_the_first_row(tmp_path):
    rows = read(
        tmp_path, "# made by hand", "new_tokens,time_s,prompt_tokens", "3,1.5,20", "4,1.5,10", "1,2.000000001,5"
    )
    assert rows == [(0, 20, 3), (0, 10, 4), (500_000_001, 5, 1)]


def test_azures_dates_to_a_hundred_nanoseconds_with_and_without_a_zone(tmp_path):
    rows = read(tmp_path, AZURE, "2023-11-16 18:15:46.6805900,374,44", "2023-11-16 18:15:50.9951690,396,109")
    assert rows == [(0, 374, 44), (4_314_579_000, 396, 109)]
    rows = read(tmp_path, AZURE, "2024-05-10 23:59:59.009930+00:00,1,2", "2024-05-11 00:00:00+00:00,3,4")
    assert rows == [(0, 1, 2), (990_070_000, 3, 4)]


def test_burst_gpt_passes_over_what_failed(tmp_path):
    rows = [
        "5,ChatGPT,472,18,490,Conversation log",
        "6,GPT-4,0,0,0,API log",
        "45,GPT-4,7,0,7,API log",
        "118,GPT-4,1,2,3,x",
    ]
    assert read(tmp_path, BURST_GPT, *rows) == [(0, 472, 18), (113 * NS_PER_S, 1, 2)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [OWN, "2,1,1", "1,1,1"],
            "trace.csv:3: time_s '1' is before that of the row above",
        ),
        ([OWN, "-1,1,1"], "trace.csv:2: time_s '-1' is not a number from 0 to"),
        ([OWN, "nan,1,1"], "trace.csv:2: time_s 'nan'"),
        (
            [OWN, "0,1,1", "1,0,1"],
            "trace.csv:3: prompt_tokens '0' is not a number from 1",
        ),
        ([OWN, "0,-5,1"], "trace.csv:2: prompt_tokens '-5'"),
        ([OWN, "0,1.5,1"], "trace.csv:2: prompt_tokens '1.5' is no whole number"),
        ([OWN, "0,1"], "trace.csv:2: 2 values for 3 columns"),
        ([OWN], "trace.csv: there is no request in it"),
        (["time,prompt_tokens,new_tokens", "0,1,1"], "trace.csv:1: there is a column time; is it time_s?"),
        ([""], "trace.csv: there is nothing in it"),
        ([AZURE, "yesterday,1,1"], "trace.csv:2: TIMESTAMP 'yesterday' is no time"),
        ([AZURE, "2023-11-16 18:15:46.1,1,1", "2023-11-16 18:15:46.09,1,1"], "trace.csv:3: TIMESTAMP"),
        ([BURST_GPT, "5,ChatGPT,0,18,18,x"], "trace.csv:2: Request tokens is 0"),
    ],
)
def test_what_is_no_trace_is_refused_with_its_line(tmp_path, rows, message):
    with pytest.raises(RequestError) as refused:
        read(tmp_path, *rows)
    assert refused.value.field == "arrivals.trace"
    assert message in refused.value.reason


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RequestError, match="cannot be read"):
        next(read_trace(tmp_path / "none.csv"))


def test_the_length_of_a_trace_takes_no_memory(tmp_path):
    def most(rows: int) -> int:
        path = tmp_path / "long.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("time_s,prompt_tokens,new_tokens\n")
            file.writelines(f"{row / 8},{1 + row % 90},{1 + row % 7}\n" for row in range(rows))
        tracemalloc.start()
        assert sum(1 for _ in read_trace(path)) == rows
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    most(100)  # which imports
    assert most(5000) < most(200) + 50_000
