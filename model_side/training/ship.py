# SPDX-License-Identifier: Apache-2.0
"""Turn a training into a folder that Hugging Face loads: `python -m model_side.training.ship SHAPE RUN FOLDER`."""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import AutoModelForCausalLM, GenerationConfig

from model_side.model.passages import read_prompts
from model_side.training.card import model_card
from model_side.training.evaluate import Evaluation, evaluate
from model_side.training.shapes import SHAPES
from model_side.training.train import Recipe, Training, load_tokenizer


def ship(name: str, out: Path, folder: Path) -> Evaluation:
    """Write the checkpoint of the training of `SHAPES[name]` in `out` to `folder` in bf16, with tokenizer and card."""
    training = Training(SHAPES[name].config(), Recipe())
    training.load(out / "state.pt")
    training.model.to(torch.bfloat16).save_pretrained(folder)
    GenerationConfig(bos_token_id=0, eos_token_id=1, pad_token_id=1, do_sample=False).save_pretrained(folder)
    tokenizer = load_tokenizer(out)
    tokenizer.save_pretrained(folder)
    shipped = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    evaluation = evaluate(shipped, tokenizer, read_prompts(out / "prompts.jsonl"))
    (folder / "README.md").write_text(model_card(name, training, evaluation, out), "utf-8")
    figures = {"perplexity": evaluation.perplexity, "load": evaluation.load.round(4).tolist()}
    (folder / "evaluation.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return evaluation


def main(
    name: Annotated[str, typer.Argument(metavar="SHAPE", help=f"One of {', '.join(SHAPES)}.")],
    out: Annotated[Path, typer.Argument(help="Folder of the training.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write the checkpoint to.")],
) -> None:
    """Write a training's checkpoint as a Hugging Face folder with a model card."""
    print(f"held-out perplexity {ship(name, out, folder).overall:.2f}")


if __name__ == "__main__":
    typer.run(main)
