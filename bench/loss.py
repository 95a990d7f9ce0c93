# SPDX-License-Identifier: Apache-2.0
"""What a model loses when answers do: `python -m bench.loss [MODEL...] [--figure FILE.pdf]`.

The yardstick of selection policies: each model reads held-out text, each text by a prefill of its own, while answers of
its experts are lost as told. An answer is what one expert of one layer sends back for a text, for all tokens that went
to it; each is lost with the same probability, independently. A dead expert is one of each layer, the mean over all
choices of it; the first or second is each token's heaviest expert or the one after. What is missing is shared among a
token's others (`exchange.missing`), or kept. Perplexity is over all tokens but the first, with the bootstrap's interval
of 95 % over texts; KL is against the unmodified model.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from cosim.results.intervals import Estimate, ratio_of_sums
from model_side.calibrating.text import sequences
from model_side.model.loading import load_model, load_tokenizer
from model_side.model.moe import GateOutput, Route, SplitModel
from model_side.quality import PassQuality, compare
from model_side.routing import Gate, Mask, Missing, Remainder

TOKENS = 2048
DRAWS = 4
PROBABILITIES = (0.01, 0.03, 0.1, 0.3)
SEED = 1
Lost = Callable[[GateOutput], Mask]


class Case(NamedTuple):
    """A way of losing: its runs, which are averaged, each say which slots [N, k] of a layer are lost."""

    name: str
    runs: list[Lost]


class Row(NamedTuple):
    """What came of a case: perplexity, its interval, mean KL in nats, and how often the next token is the same."""

    case: str
    perplexity: Estimate
    kl_nats: float
    agreement: float


def cases(split: SplitModel) -> Iterator[Case]:
    """All of them, for a model."""
    for probability in PROBABILITIES:
        draws = [answers_lost(split, probability, run) for run in range(DRAWS)]
        yield Case(f"each answer lost with p = {probability:g}", draws)
    yield Case("one expert of each layer dead", [dead(expert) for expert in range(split.num_experts)])
    for rank, name in enumerate(("first", "second")[: split.top_k]):
        yield Case(f"each token's {name} expert left out", [ranked(rank)])


def dead(expert: int) -> Lost:
    """All slots of one expert of each layer."""
    return lambda output: np.asarray(output.indices.numpy() == expert)


def answers_lost(split: SplitModel, probability: float, run: int) -> Lost:
    """Each expert's answer for all of a text's tokens, independently."""
    chance = np.random.default_rng((SEED, run))

    def lost(output: GateOutput) -> Mask:
        return np.asarray((chance.random(split.num_experts) < probability)[output.indices.numpy()])

    return lost


def ranked(rank: int) -> Lost:
    """The slot of each token that is at this place by weight."""

    def lost(output: GateOutput) -> Mask:
        order = np.argsort(-output.weights.float().numpy(), axis=1, kind="stable")
        return np.asarray(np.arange(order.shape[1]) == order[:, rank, None])

    return lost


def losing(split: SplitModel, lost: Lost, missing: Missing) -> Route:
    """A route that leaves out what is lost."""

    def route(output: GateOutput) -> tuple[torch.Tensor, torch.Tensor]:
        indices, weights = output.indices.numpy(), output.weights.float().numpy()
        gate = Gate(output.layer, split.num_experts, None, weights, indices)
        left, there = missing.leave_out(gate, weights, indices, ~lost(output))
        return torch.from_numpy(left).to(output.weights), torch.from_numpy(there)

    return route


def measure(split: SplitModel, texts: list[torch.Tensor], missing: Missing) -> list[Row]:
    """Each case's row, after that of the unmodified model."""
    whole = [split.forward(text, None, "a held-out text", use_cache=False)[0] for text in texts]
    rows = [row_of("unmodified", [[compare(each, each, text[0]) for each, text in zip(whole, texts, strict=True)]])]
    for case in cases(split):
        runs = []
        for lost in case.runs:
            with split.routed(losing(split, lost, missing)):
                came = [split.forward(text, None, case.name, use_cache=False)[0] for text in texts]
            runs.append([compare(*three) for three in zip(came, whole, (text[0] for text in texts), strict=True)])
        rows.append(row_of(case.name, runs))
    return rows


def row_of(case: str, runs: list[list[PassQuality]]) -> Row:
    """A case's row from its runs' qualities [runs, texts]."""
    sums = np.array(
        [[(each.nll_nats, each.scored, each.kl_nats, each.agreements, each.positions) for each in run] for run in runs]
    )
    nll, scored, kl_nats, agreements, positions = sums.mean(axis=0).T
    nats = ratio_of_sums(nll, scored)
    return Row(case, Estimate(*np.exp(nats)), kl_nats.sum() / positions.sum(), agreements.sum() / positions.sum())


def table_of(model: str, remainder: Remainder, rows: list[Row]) -> Table:
    """One model's."""
    table = Table(title=f"{model}, what is missing {remainder.value}", title_justify="left", show_edge=False)
    for heading in ("", "perplexity", "95 %", "against unmodified", "KL, nats", "same next token"):
        table.add_column(heading, justify="left" if not heading else "right")
    base = rows[0].perplexity.value
    for row in rows:
        value, low, high = row.perplexity
        against = f"{100 * (value / base - 1):+.1f} %"
        table.add_row(
            row.case, f"{value:.2f}", f"{low:.2f} to {high:.2f}", against, f"{row.kl_nats:.4f}", f"{row.agreement:.1%}"
        )
    return table


def draw(found: dict[str, list[Row]], path: Path) -> None:
    """KL against the probability that an answer is lost, a line a model, and the other cases as levels."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(3.5, 2.6), layout="constrained")
    axes = figure.subplots()
    for number, (name, rows) in enumerate(found.items()):
        kl_nats = [row.kl_nats for row in rows[1 : 1 + len(PROBABILITIES)]]
        axes.plot(PROBABILITIES, kl_nats, "o-", color=f"C{number}", label=name)
        for row in rows[1 + len(PROBABILITIES) :]:
            axes.axhline(row.kl_nats, color=f"C{number}", linestyle=":", linewidth=0.8)
            if not number:
                axes.annotate(row.case, (PROBABILITIES[0], row.kl_nats), fontsize=6, va="bottom")
    axes.set(xscale="log", yscale="log", xlabel="probability that an answer is lost", ylabel="KL in nats a token")
    axes.set_xticks(PROBABILITIES, [f"{probability:g}" for probability in PROBABILITIES])
    axes.minorticks_off()
    axes.legend(fontsize=7, loc="lower right")
    figure.savefig(path)


def main(models: list[str], figure: Path | None) -> None:
    """Print the tables, and draw the figure."""
    torch.set_num_threads(2)
    found = {}
    for model in models:
        split = load_model(model)
        texts = [torch.tensor([sequence]) for sequence in sequences(load_tokenizer(model), TOKENS)]
        for remainder in (Remainder.SHARED, Remainder.KEPT):
            rows = measure(split, texts, Missing(remainder))
            Console(width=130).print(table_of(model, remainder, rows))
            found[f"{Path(model).name}, {remainder.value}"] = rows
    if figure is not None:
        draw(found, figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=["shipped"], metavar="MODEL")
    parser.add_argument("--figure", type=Path, metavar="FILE")
    given = parser.parse_args()
    main(given.models, given.figure)
