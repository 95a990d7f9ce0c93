# SPDX-License-Identifier: Apache-2.0
"""Rows of the public test sets, as their files have them, made into items.

What is asked is worded as lm-evaluation-harness words it without examples before it. Of each set both shapes are read:
the one in which its authors give it out, and the rows of the Hugging Face data set.
"""

import re
from pathlib import Path

from bridge.network import RequestError
from model_side.tasks.item import Choice, Generation, Item, Text
from model_side.tasks.rows import FIELD, Row, csv_rows, lines, rows

_LETTERS = "ABCDEFGHIJ"
_MMLU_COLUMNS = ("question", "A", "B", "C", "D", "answer")
_GSM8K_TOKENS = 256


def mmlu(path: Path) -> list[Item]:
    """MMLU: a folder of CSV files as `SUBJECT_test.csv`, one of these, or rows: question, choices, answer, subject."""
    if path.is_dir():
        files = sorted(path.glob("*.csv"))
        if not files:
            raise RequestError(FIELD, f"{path} holds no CSV file; name the folder test of MMLU's data")
        return [item for file in files for item in mmlu(file)]
    if path.suffix != ".csv":
        return [_mmlu(row, row.texts("choices"), row.index("answer", 4)) for row in rows(path)]
    subject = re.sub(r"_(test|val|dev)$", "", path.stem)
    found = csv_rows(path, _MMLU_COLUMNS)
    for row in found:
        row.values["subject"] = subject
    return [_mmlu(row, tuple(row.text(letter) for letter in "ABCD"), row.label("answer", "ABCD")) for row in found]


def _mmlu(row: Row, choices: tuple[str, ...], answer: int) -> Item:
    if len(choices) != 4:
        row.refuse("choices", f"are {len(choices)}, not 4")
    subject = row.text("subject")
    listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip("ABCD", choices, strict=True))
    about = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}."
    context = f"{about}\n\n{row.text('question').strip()}\n{listed}\nAnswer:"
    letters = tuple(f" {letter}" for letter in "ABCD")
    return Choice(line=row.line, subject=subject, context=context, choices=letters, answer=answer)


def arc(row: Row) -> Item:
    """ARC-E and ARC-C: `question.stem` and `question.choices` with their labels, or these two side by side."""
    if isinstance(row.value("question"), dict):
        question = row.part("question")
        given = question.value("choices")
        if not isinstance(given, list):
            row.refuse("question.choices", "is no list")
        parts = [Row(row.path, row.line, each) for each in given]
        stem, texts = question.text("stem"), [part.text("text") for part in parts]
        labels = [part.text("label") for part in parts]
    else:
        choices = row.part("choices")
        stem, texts, labels = row.text("question"), list(choices.texts("text")), list(choices.texts("label"))
    if len(texts) != len(labels):
        row.refuse("choices", f"has {len(texts)} texts and {len(labels)} labels")
    return Choice(
        line=row.line,
        context=f"Question: {stem}\nAnswer:",
        choices=_after_blank(row.choices("choices", texts)),
        answer=row.label("answerKey", labels),
    )


def piqa(path: Path) -> list[Item]:
    """PIQA: goal, sol1, sol2 and label; without labels those of `STEM-labels.lst` beside it."""
    found = rows(path)
    if "label" not in found[0].values:
        beside = path.with_name(f"{path.name.split('.')[0]}-labels.lst")
        labels = [label for _, label in lines(beside) if label.strip()]
        if len(labels) != len(found):
            raise RequestError(FIELD, f"{beside} has {len(labels)} labels for {len(found)} rows of {path.name}")
        for row, label in zip(found, labels, strict=True):
            row.values["label"] = label.strip()
    return [
        Choice(
            line=row.line,
            context=f"Question: {row.text('goal')}\nAnswer:",
            choices=_after_blank(row.choices("sol1, sol2", [row.text("sol1"), row.text("sol2")])),
            answer=row.index("label", 2),
        )
        for row in found
    ]


def boolq(row: Row) -> Item:
    """BoolQ: passage, question without its mark, and answer (or label) true or false."""
    field = "answer" if "answer" in row.values else "label"
    context = f"{row.text('passage')}\nQuestion: {row.text('question')}?\nAnswer:"
    return Choice(line=row.line, context=context, choices=(" no", " yes"), answer=int(row.truth(field)))


def hellaswag(row: Row) -> Item:
    """HellaSwag: activity_label, ctx_a, ctx_b, endings and label. Its marks in brackets are taken out."""
    second = row.text("ctx_b", empty=True)
    context = f"{row.text('activity_label')}: {row.text('ctx_a')} {second[:1].upper() + second[1:].lower()}"
    endings = [_without_marks(ending) for ending in row.texts("endings")]
    return Choice(
        line=row.line,
        subject=row.text("activity_label"),
        context=_without_marks(context),
        choices=_after_blank(row.choices("endings", endings)),
        answer=row.index("label", len(endings)),
    )


def gsm8k(row: Row) -> Item:
    """GSM8K: question, and an answer that ends with #### and the number."""
    answer = row.text("answer")
    if "####" not in answer:
        row.refuse("answer", "has no #### with the number behind it")
    return Generation(
        line=row.line,
        context=f"Question: {row.text('question')}\nAnswer:",
        answers=(answer.rpartition("####")[2].strip(),),
        until=("Question:",),
        new_tokens=_GSM8K_TOKENS,
        number=True,
    )


def humaneval(row: Row) -> Item:
    """HumanEval's prompts: how likely the canonical solution is after each; no code is executed."""
    return Text(line=row.line, context=row.text("prompt"), text=row.text("canonical_solution"))


def _after_blank(choices: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f" {choice.strip()}" for choice in choices)


def _without_marks(text: str) -> str:
    """HellaSwag's text without WikiHow's marks; `[title]` ends a sentence."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ").strip()
