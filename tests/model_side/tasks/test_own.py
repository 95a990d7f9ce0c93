# SPDX-License-Identifier: Apache-2.0
"""The task format: what is right, however its lines end, and what is refused by file, line and field."""

import gzip
import json
import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import RequestError
from model_side.tasks.item import Choice, Generation, Text
from model_side.tasks.reading import READERS, SHIPPED, read_task, read_tasks

CHOICE = {"context": "Two and two are", "choices": [" four", " five"], "answer": 0, "subject": "sums"}
GENERATION = {"context": "6 x 7 =", "answer": ["42", "forty-two"], "until": ["."], "new_tokens": 3, "number": True}
TEXT = {"text": "Call me Ishmael.", "context": "CHAPTER 1"}


def written(folder, *rows, end="\n", mark=b""):
    file = folder / "task.jsonl"
    file.write_bytes(mark + "".join((row if isinstance(row, str) else json.dumps(row)) + end for row in rows).encode())
    return file


def test_each_kind_with_all_of_its_fields(tmp_path):
    (item,) = read_task(str(written(tmp_path, CHOICE))).items
    assert item == Choice(line=1, context="Two and two are", choices=(" four", " five"), answer=0, subject="sums")
    (item,) = read_task(str(written(tmp_path, GENERATION))).items
    assert item == Generation(
        line=1, context="6 x 7 =", answers=("42", "forty-two"), until=(".",), new_tokens=3, number=True
    )
    (item,) = read_task(str(written(tmp_path, TEXT))).items
    assert item == Text(line=1, context="CHAPTER 1", text="Call me Ishmael.")
    assert (item.words, item.size_bytes) == (3, 16)


def test_what_need_not_be_there_has_a_default(tmp_path):
    rows = [{"context": "a", "answer": "b"}]
    (item,) = read_task(str(written(tmp_path, *rows))).items
    assert item == Generation(line=1, context="a", answers=("b",), until=("\n",), new_tokens=64)
    (item,) = read_task(str(written(tmp_path, {"choices": ["a", "b"], "answer": "b"}))).items
    assert item == Choice(line=1, choices=("a", "b"), answer=1)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\r\n \r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_ends_of_lines_empty_lines_and_a_mark_change_nothing_but_line_numbers(tmp_path, end, mark):
    other = {**CHOICE, "context": "a\r\nline\u2028and \x85 more"}
    task = read_task(str(written(tmp_path, CHOICE, other, end=end, mark=mark)))
    assert [item.context for item in task.items] == [CHOICE["context"], other["context"]]
    assert [item.line for item in task.items] == [1, 1 + end.count("\n")]


def test_a_packed_file_and_one_without_an_end_to_its_last_line(tmp_path):
    packed = tmp_path / "task.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(CHOICE).encode()))
    plain = written(tmp_path, CHOICE)
    assert read_task(str(packed)).items == read_task(str(plain)).items
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(RequestError, match="cannot be unpacked"):
        read_task(str(packed))


WRONG = {
    "no JSON": ("{'context': 1}", ":2: is no JSON"),
    "a list": ("[1]", ":2: is no object"),
    "neither kind": ({"context": "a"}, ":2: choices: is not there, nor .* READER:FILE"),
    "a field too many": ({**CHOICE, "subjct": "a"}, ":2: subjct: is not known here; .*did you mean subject"),
    "an empty choice": ({**CHOICE, "choices": [" four", " "]}, r":2: choices\[1\]: is empty"),
    "one choice": ({**CHOICE, "choices": [" four"]}, ":2: choices: has one choice alone"),
    "no choice": ({**CHOICE, "choices": []}, ":2: choices: is no list of texts"),
    "choices as text": ({**CHOICE, "choices": "four"}, ":2: choices: is no list of texts"),
    "a choice of another kind": ({**CHOICE, "choices": [" four", 5]}, r":2: choices\[1\]: 5 is no text"),
    "no answer": ({"choices": ["a", "b"]}, ":2: answer: is not there; the fields are choices"),
    "an answer beyond": ({**CHOICE, "answer": 2}, ":2: answer: 2 is no number from 0 to 1"),
    "a true answer": ({**CHOICE, "answer": True}, ":2: answer: True is no number"),
    "an answer of none": ({**CHOICE, "answer": "six"}, ":2: answer: 'six' is none of the choices"),
    "an answer of two": ({"choices": ["a", "a"], "answer": "a"}, ":2: answer: 'a' is 2 of the choices"),
    "a secret": ({**CHOICE, "answer": -1}, ":2: answer: .* take the file for validation"),
    "an empty text": ({"text": " "}, ":2: text: is empty"),
    "a number as text": ({"text": 5}, ":2: text: 5 is no text"),
    "half a character": ('{"text": "\\ud800"}', ":2: text: has half of a pair"),
    "no tokens": ({**GENERATION, "new_tokens": 0}, ":2: new_tokens: 0 is no number from 1"),
    "an empty end": ({**GENERATION, "until": [""]}, ":2: until: is no list"),
    "a number that is none": ({**GENERATION, "number": "yes"}, ":2: number: 'yes' is neither"),
    "another kind": (TEXT, ":2: is of the kind text, and line 1 of choice"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_by_file_line_and_field(tmp_path, name):
    row, words = WRONG[name]
    file = written(tmp_path, CHOICE, row)
    with pytest.raises(RequestError, match=words) as error:
        read_task(str(file))
    assert str(error.value).startswith(f"workload.tasks: {file}")


def test_files_that_are_no_tasks(tmp_path):
    file = tmp_path / "task.jsonl"
    for data, words in ((b"", "is empty"), (b"\n \n", "is empty"), (b"{}\n\xff", ":2: is no UTF-8 text")):
        file.write_bytes(data)
        with pytest.raises(RequestError, match=re.escape(str(file)) + ".*" + words if data != b"{}\n\xff" else words):
            read_task(str(file))
    with pytest.raises(RequestError, match="is neither a file nor one of cloze, held-out; did you mean cloze"):
        read_task("clozes")
    with pytest.raises(RequestError, match=r"there is no reader 'mmul'; .*did you mean mmlu"):
        read_task(f"mmul:{file}")
    with pytest.raises(RequestError, match="is a folder"):
        read_task(str(tmp_path))
    written(tmp_path, CHOICE)
    with pytest.raises(RequestError, match="two tasks are called task"):
        read_tasks([str(file), str(file)])


@settings(max_examples=50)
@given(st.binary(max_size=60), st.sampled_from(["", *(reader for reader in READERS)]))
def test_no_bytes_end_in_another_error(tmp_path_factory, data, reader):
    file = tmp_path_factory.getbasetemp() / "anything.jsonl"
    file.write_bytes(data)
    with suppress(RequestError):
        assert read_task(f"{reader}:{file}" if reader else str(file)).items


@settings(max_examples=15)
@given(st.recursive(st.none() | st.booleans() | st.integers(-2, 4) | st.text(max_size=3), st.lists, max_leaves=6))
def test_no_value_ends_in_another_error(tmp_path_factory, value):
    file = tmp_path_factory.getbasetemp() / "value.jsonl"
    for reader, row in ROWS.items():
        for field in row:
            file.write_text(json.dumps({**row, field: value}))
            with suppress(RequestError):
                assert read_task(f"{reader}:{file}" if reader else str(file)).items


ROWS = {
    "": CHOICE,
    "arc": {"question": "a", "choices": {"text": ["b", "c"], "label": ["A", "B"]}, "answerKey": "A"},
    "piqa": {"goal": "a", "sol1": "b", "sol2": "c", "label": 0},
    "boolq": {"passage": "a", "question": "b", "answer": True},
    "hellaswag": {"activity_label": "a", "ctx_a": "b", "ctx_b": "c", "endings": ["d", "e"], "label": "1"},
    "gsm8k": {"question": "a", "answer": "b #### 3"},
    "humaneval": {"prompt": "def f():", "canonical_solution": "    pass"},
    "mmlu": {"question": "a", "choices": ["b", "c", "d", "e"], "answer": 1, "subject": "s"},
    "wikitext": {"text": "a"},
}


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_is_read(name):
    task = read_task(name)
    assert len(task.items) >= (2000 if name == "cloze" else 448)
    assert {item.subject for item in task.items} == {
        "austen",
        "moby-dick",
        "sotu",
        "kjv",
        "shakespeare",
        "wordnet",
        "python-doc",
    }
