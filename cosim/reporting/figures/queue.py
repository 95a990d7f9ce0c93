# SPDX-License-Identifier: Apache-2.0
"""How many requests wait, and how many run, over virtual time."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from cosim.reporting.cases import Data
from cosim.reporting.figures.drawn import Drawn, Lacking, names, shown
from cosim.reporting.style import colour, dash, panels
from cosim.results.queue import queue_of

NAME = "queue"
TITLE = "Requests that wait and run"


def draw(data: Data) -> Drawn:
    cases, rest = shown([case for case in data.cases if len(case.requests["request"])])
    if not cases:
        raise Lacking("no request arrived (arrivals.process)")
    figure, axes = panels(len(cases), panel_in=1.2, sharex=True)
    said = []
    for case, title, panel in zip(cases, names(cases), axes, strict=True):
        queue = queue_of(*(case.requests[name] for name in ("arrival_s", "admitted_s", "end_s")))
        for index, (label, count) in enumerate((("running", queue.running), ("waiting", queue.waiting))):
            panel.step(queue.time_s, count, where="post", label=label, color=colour(index), ls=dash(index))
        panel.set(title=title, ylabel="requests", ylim=(0, None))
        panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        took_s = np.diff(queue.time_s)
        waited_s = float((queue.waiting[:-1] * took_s).sum())
        mean = waited_s / len(case.requests["request"])
        said.append(f"{title}: at most {queue.waiting.max()} wait, and a request waits {mean:.3g} s in the mean")
    axes[-1].set_xlabel("virtual time in s")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, borderpad=0)
    return Drawn(figure, f"Requests that were admitted, and that waited to be. {'; '.join(said)}.{rest}")
