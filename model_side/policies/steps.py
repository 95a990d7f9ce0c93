# SPDX-License-Identifier: Apache-2.0
"""How several steps make one policy."""

from contextlib import nullcontext

from model_side.exchange import LayerExchange
from model_side.policies.files import told_by_line
from model_side.policies.policy import Policy
from model_side.selection import Layer, Selection, check


class Steps:
    """Policies one after another, each on what the one before has chosen: select, substitute, allocate.

    What each gives is checked, and raises `RequestError` naming it if no layer could have that; what the code of a
    user's own raises becomes a `RequestError` naming file and line.
    """

    def __init__(self, steps: list[Policy]):
        self.steps = steps

    def __call__(self, layer: Layer) -> Selection:
        for step in self.steps:
            with told_by_line(step.file) if step.file else nullcontext():
                selection = step(layer)
            if selection is not layer.selection:
                check(selection, layer, step.name)
                layer = layer.after(selection)
        return layer.selection

    def observe(self, exchange: LayerExchange) -> None:
        """What came of the latest selection."""
        for step in self.steps:
            with told_by_line(step.file) if step.file else nullcontext():
                step.observe(exchange)
