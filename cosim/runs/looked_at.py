# SPDX-License-Identifier: Apache-2.0
"""What `cosim report`, `cosim timeline` and `cosim compare` do, for Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cosim.reporting import making
from cosim.reporting import timeline as traces
from cosim.reporting.comparing import compared
from cosim.reporting.comparison_tables import rows

if TYPE_CHECKING:
    import pandas as pd

Paths = Path | str | Sequence[Path | str]


def report(runs: Paths, out: Path | str | None = None, *, figures: Sequence[str] = ()) -> list[Path]:
    """Write a page about these runs, and every figure as PDF, SVG and PNG; the paths of what to look at.

    `runs`: the folder of one, or several, which are compared. `out`: the folder to write, by default `report` in the
    first run's; an earlier report in it is replaced. `figures`: only these, by name (docs/runs/report.md), and no page.
    Raises `RequestError` naming RUN, --figure or --out; an earlier report stays as it was then.
    """
    return making.make(_paths(runs), None if out is None else Path(out), figures)


def timeline(run: Path | str, file: Path | str | None = None) -> Path:
    """Write a run as a trace for Perfetto or chrome://tracing (docs/runs/timeline.md); the file's path.

    `file`: .json, or .json.gz, which is packed; by default timeline.json in the run's folder. Raises `RequestError`
    naming RUN or --out.
    """
    return traces.write(Path(run), None if file is None else Path(file))


def compare(runs: Paths) -> "pd.DataFrame":
    """What each policy or configuration changes against the first, in pairs of equal seeds; a row for each measure.

    `runs`: the folder of one run, or several. Columns as docs/runs/compare.md has them: `base`, `label`, `measure`,
    `unit` (of the means and of the difference), `pairs`, `base_mean`, `mean`, `difference` with its 95 % interval from
    `low` to `high`, `p` of the sign-flip test, `verdict`. Raises `RequestError` naming RUN where nothing can be
    compared.
    """
    import pandas as pd  # noqa: PLC0415  (of the extra `tables`)

    return pd.DataFrame(rows(*compared(_paths(runs))))


def _paths(runs: Paths) -> list[Path]:
    return [Path(runs)] if isinstance(runs, Path | str) else [Path(run) for run in runs]
