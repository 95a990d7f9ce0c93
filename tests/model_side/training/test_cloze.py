# SPDX-License-Identifier: Apache-2.0
"""The shipped cloze test: made anew it is the same, and each item is what it says."""

import json
from collections import Counter

from model_side.model.model_folder import SHIPPED_PROMPTS
from model_side.model.passages import read_prompts
from model_side.tasks.reading import SHIPPED
from model_side.training.cloze import CHOICE_WORDS, CHOICES, CONTEXT_WORDS, main


def test_the_script_writes_the_shipped_file(tmp_path, capsys):
    main(tmp_path / "cloze.jsonl", SHIPPED_PROMPTS)
    shipped, _ = SHIPPED["cloze"]
    assert (tmp_path / "cloze.jsonl").read_bytes() == shipped.read_bytes()
    assert shipped.stat().st_size < 2e6


def test_the_right_words_follow_and_the_others_are_of_the_same_source():
    texts: dict[str, list[str]] = {}
    for passage in read_prompts(SHIPPED_PROMPTS):
        texts.setdefault(passage.source, []).append(passage.text)
    shipped, _ = SHIPPED["cloze"]
    items = [json.loads(line) for line in shipped.read_text(encoding="utf-8").splitlines()]
    assert len(items) >= 2000
    places = Counter(item["answer"] for item in items)
    assert min(places.values()) > 0.8 * len(items) / CHOICES
    for item in items:
        choices, own = item["choices"], texts[item["subject"]]
        right = item["context"] + choices[item["answer"]]
        assert any(right in text for text in own)
        assert len(item["context"].split()) == CONTEXT_WORDS
        assert len(set(choices)) == CHOICES
        assert {len(choice.split()) for choice in choices} == {CHOICE_WORDS}
    for item in items[::50]:
        whole = "\n".join(texts[item["subject"]])
        assert all(choice in whole for choice in item["choices"])
