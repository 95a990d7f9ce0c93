# SPDX-License-Identifier: Apache-2.0
"""The public files' shapes, with items of our own making: what is asked, and which answer is right."""

import json

import pytest

from bridge.network import RequestError
from model_side.tasks.item import Choice, Generation, Text
from model_side.tasks.reading import read_task
from model_side.tasks.wikitext import joined


def read(folder, reader, *rows, name="file.jsonl"):
    file = folder / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_task(f"{reader}:{file}")


def test_mmlu_as_a_folder_of_csv_files(tmp_path):
    (tmp_path / "test").mkdir()
    file = tmp_path / "test" / "high_school_sums_test.csv"
    file.write_text('"What, then,\nis 2+2?",3,"4, of course",5,6,B\r\nAnd 1+1?,1,2,3,4,B\r\n', newline="")
    (tmp_path / "test" / "art_test.csv").write_text("Who?,a,b,c,d,D\n")
    task = read_task(f"mmlu:{tmp_path / 'test'}")
    assert task.name == "mmlu:test"
    assert [(item.subject, item.line, item.answer) for item in task.items] == [
        ("art", 1, 3),
        ("high_school_sums", 1, 1),
        ("high_school_sums", 3, 1),
    ]
    about = "The following are multiple choice questions (with answers) about high school sums."
    question = "What, then,\nis 2+2?\nA. 3\nB. 4, of course\nC. 5\nD. 6\nAnswer:"
    assert task.items[1].context == f"{about}\n\n{question}"
    assert task.items[1].choices == (" A", " B", " C", " D")
    digest = task.sha256
    (tmp_path / "test" / "art_test.csv").write_text("Who?,a,b,c,d,A\n")
    assert read_task(f"mmlu:{tmp_path / 'test'}").sha256 != digest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c,d,e\n", r"x_test.csv:1: has 5 columns, not 6 columns \(question"),
        ("q,a,b,c,d,A\nq,a,b,c,d,E\n", "x_test.csv:2: answer: 'E' is none of A, B, C, D"),
        ("q,a,,c,d,A\n", "x_test.csv:1: B: is empty"),
        ('q,a,"b,c,d,A\n', "x_test.csv:1: is no CSV"),
    ],
)
def test_mmlu_of_another_shape(tmp_path, text, words):
    (tmp_path / "x_test.csv").write_text(text)
    with pytest.raises(RequestError, match=words):
        read_task(f"mmlu:{tmp_path / 'x_test.csv'}")


def test_mmlu_as_rows_of_the_data_set(tmp_path):
    row = {"question": "And 1+1?", "choices": ["1", "2", "3", "4"], "answer": 1, "subject": "sums"}
    (item,) = read(tmp_path, "mmlu", row).items
    (tmp_path / "sums_test.csv").write_text("And 1+1?,1,2,3,4,B\n")
    (same,) = read_task(f"mmlu:{tmp_path / 'sums_test.csv'}").items
    assert item == same
    with pytest.raises(RequestError, match=":1: choices: are 3, not 4"):
        read(tmp_path, "mmlu", {**row, "choices": ["1", "2", "3"]})


def test_arc_in_both_shapes(tmp_path):
    parts = [{"text": "light", "label": "A"}, {"text": "stone", "label": "B"}, {"text": "iron", "label": "C"}]
    first = {"id": "x", "question": {"stem": "What is lightest?", "choices": parts}, "answerKey": "A"}
    other = {
        "id": "x",
        "question": "What is lightest?",
        "choices": {"text": ["light", "stone", "iron"], "label": ["1", "2", "3"]},
        "answerKey": "1",
    }
    task = read(tmp_path, "arc", first, other)
    for item in task.items:
        assert item.context == "Question: What is lightest?\nAnswer:"
        assert (item.choices, item.answer) == ((" light", " stone", " iron"), 0)
    with pytest.raises(RequestError, match=":1: answerKey: 'E' is none of A, B, C"):
        read(tmp_path, "arc", {**first, "answerKey": "E"})
    with pytest.raises(RequestError, match=":1: choices: has 3 texts and 2 labels"):
        read(tmp_path, "arc", {**other, "choices": {"text": ["a", "b", "c"], "label": ["1", "2"]}})


def test_piqa_with_labels_in_the_row_and_beside(tmp_path):
    row = {"goal": "To cool soup,", "sol1": "heat it.", "sol2": "wait."}
    expected = Choice(line=1, context="Question: To cool soup,\nAnswer:", choices=(" heat it.", " wait."), answer=1)
    assert read(tmp_path, "piqa", {**row, "label": 1}).items == (expected,)
    (tmp_path / "valid-labels.lst").write_text("1\n")
    assert read(tmp_path, "piqa", row, name="valid.jsonl").items == (expected,)
    with pytest.raises(RequestError, match=r"valid-labels.lst has 1 labels for 2 rows of valid.jsonl"):
        read(tmp_path, "piqa", row, row, name="valid.jsonl")
    with pytest.raises(RequestError, match=r"test-labels.lst cannot be read"):
        read(tmp_path, "piqa", row, name="test.jsonl")
    with pytest.raises(RequestError, match=":1: label: the answer is kept secret"):
        read(tmp_path, "piqa", {**row, "label": -1})


def test_boolq_in_both_shapes(tmp_path):
    row = {"passage": "Snow is white.", "question": "is snow white", "title": "Snow"}
    for field, values in (("answer", (True, False)), ("label", (1, 0))):
        items = read(tmp_path, "boolq", *({**row, field: value} for value in values)).items
        assert [item.choices[item.answer] for item in items] == [" yes", " no"]
        assert items[0].context == "Snow is white.\nQuestion: is snow white?\nAnswer:"
    with pytest.raises(RequestError, match=":1: answer: 'yes' is neither"):
        read(tmp_path, "boolq", {**row, "answer": "yes"})


def test_hellaswag_without_its_marks(tmp_path):
    row = {
        "activity_label": "Baking cookies",
        "ctx_a": "[header] How to bake [title] Heat the oven.",
        "ctx_b": "a pan",
        "endings": ["is put in.", "[step] flies  away."],
        "label": "0",
    }
    (item,) = read(tmp_path, "hellaswag", row).items
    assert item.context == "Baking cookies: How to bake. Heat the oven. A pan"
    assert (item.choices, item.answer, item.subject) == ((" is put in.", " flies away."), 0, "Baking cookies")
    with pytest.raises(RequestError, match=":1: label: the answer is kept secret"):
        read(tmp_path, "hellaswag", {**row, "label": ""})


def test_gsm8k_and_humaneval(tmp_path):
    (item,) = read(tmp_path, "gsm8k", {"question": "How many?", "answer": "2 + 2 = <<2+2=4>>4\n#### 1,004"}).items
    assert isinstance(item, Generation)
    assert (item.context, item.answers, item.number) == ("Question: How many?\nAnswer:", ("1,004",), True)
    with pytest.raises(RequestError, match=":1: answer: has no ####"):
        read(tmp_path, "gsm8k", {"question": "How many?", "answer": "4"})
    row = {
        "task_id": "T/0",
        "prompt": "def one():\n",
        "canonical_solution": "    return 1\n",
        "test": "",
        "entry_point": "",
    }
    assert read(tmp_path, "humaneval", row).items == (Text(line=1, context="def one():\n", text="    return 1\n"),)
    with pytest.raises(RequestError, match=":1: canonical_solution: is not there; the fields are prompt"):
        read(tmp_path, "humaneval", {"prompt": "def one():\n"})


PAGE = " \n = The Whale = \n \n The whale , it is said , weighs 1 @,@ 000 @.@ 5 tons . \n\n = = Its head = = \n"


def test_wikitext_s_pages(tmp_path):
    file = tmp_path / "wiki.test.tokens"
    file.write_text(PAGE + ' = Robert Boulter = \n He said " no " ( twice ) in the 1990s . \n')
    first, second = read_task(f"wikitext:{file}").items
    assert [first.line, second.line] == [2, 7]
    assert "The whale, it is said, weighs 1,000.5 tons." in first.text
    assert "== Its head ==" in first.text
    assert 'He said "no" (twice) in the 1990s.' in second.text
    assert second.words == 4 + 12
    rows = [{"text": line + "\n"} for line in file.read_text().split("\n")[:-1]]
    assert [item.text for item in read(tmp_path, "wikitext", *rows).items] == [first.text, second.text]
    file.write_text("\n\n")
    with pytest.raises(RequestError, match="is empty"):
        read_task(f"wikitext:{file}")


def test_words_are_joined():
    assert joined("It 's the boys ' hat @-@ trick ; do n't ?") == "It's the boys' hat-trick; do n't?"


def test_rows_of_a_parquet_file(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    row = {"question": "What?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"}
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "arc.parquet")
    (item,) = read_task(f"arc:{tmp_path / 'arc.parquet'}").items
    assert (item.choices, item.answer) == ((" a", " b"), 1)
    (tmp_path / "arc.parquet").write_bytes(b"PAR1")
    with pytest.raises(RequestError, match="is no Parquet file"):
        read_task(f"arc:{tmp_path / 'arc.parquet'}")
