# SPDX-License-Identifier: Apache-2.0
"""A comparison as a table: in the terminal, as CSV, and as LaTeX that a paper can input."""

import csv
import io
import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from cosim.reporting.comparing import FEWEST, LEVEL, Difference
from cosim.screen import fitting

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    each: f"\\{each}" for each in "&%$#_{}"
}


def print_table(base: str, differences: Sequence[Difference], console: Console) -> None:
    """Print it, each label's rows together."""
    table = Table(title=f"against {base}, pairs of equal seeds", title_justify="left", show_edge=False, pad_edge=False)
    for column in ("", "", base, "now", "difference", "95 % interval", "", "p", ""):
        table.add_column(column, justify="left" if column == "" else "right")
    for label, group in groupby(differences, key=lambda each: each.label):
        table.add_section()
        for number, each in enumerate(group):
            table.add_row(
                label if number == 0 else "",
                f"{each.measure.name}{f' in {each.measure.unit}' if each.measure.unit else ''}",
                *_figures(each),
                _relative(each),
                f"{each.p:.3f}" if each.pairs >= FEWEST else "-",
                each.verdict,
            )
    fitting.print_table(table, console)


def rows(base: str, differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """One for each measure and label, with all digits."""
    return [
        {
            "base": base,
            "label": each.label,
            "measure": each.measure.name,
            "unit": each.measure.unit,
            "pairs": each.pairs,
            "base_mean": each.base,
            "mean": each.value,
            "difference": each.difference,
            "low": each.low,
            "high": each.high,
            "p": each.p,
            "verdict": each.verdict,
        }
        for each in differences
    ]


def as_csv(base: str, differences: Sequence[Difference]) -> str:
    """With all digits, one row a measure and label."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    table = rows(base, differences)
    writer.writerow(table[0])
    for row in table:
        writer.writerow(repr(value) if isinstance(value, float) else value for value in row.values())
    return out.getvalue()


def as_latex(base: str, differences: Sequence[Difference]) -> str:
    r"""A `tabular` for \input; needs the package booktabs. An asterisk marks what is significant."""
    lines = [
        "% cosim compare; needs \\usepackage{booktabs}",
        r"\begin{tabular}{llrrrr}",
        r"\toprule",
        rf" & & {_tex(base)} & now & difference & 95\,\% interval \\",
    ]
    for label, group in groupby(differences, key=lambda each: each.label):
        lines.append(r"\midrule")
        for number, each in enumerate(group):
            unit = f" ({_tex(each.measure.unit)})" if each.measure.unit else ""
            star = "$^*$" if each.pairs >= FEWEST and each.p < LEVEL else ""
            old, new, difference, interval = (_minus(figure) for figure in _figures(each))
            first = _tex(label) if number == 0 else ""
            lines.append(
                f"{first} & {_tex(each.measure.name)}{unit} & {old} & {new} & {difference}{star} & {interval} \\\\"
            )
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _figures(each: Difference) -> tuple[str, str, str, str]:
    digits = each.measure.digits
    interval = f"{each.low:+.{digits}f} to {each.high:+.{digits}f}" if each.pairs > 1 else "-"
    return f"{each.base:.{digits}f}", f"{each.value:.{digits}f}", f"{each.difference:+.{digits}f}", interval


def _relative(each: Difference) -> str:
    return f"{each.difference / each.base:+.1%}" if each.base else ""


def _tex(text: str) -> str:
    return re.sub(r"[\\~^&%$#_{}]", lambda found: _SPECIAL[found[0]], text)


def _minus(figure: str) -> str:
    """Signs as LaTeX sets them in mathematics."""
    return re.sub(r"[+-](?=\d)", lambda sign: f"${sign[0]}$", figure)
