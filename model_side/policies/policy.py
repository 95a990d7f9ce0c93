# SPDX-License-Identifier: Apache-2.0
"""What an expert-selection policy is."""

from typing import ClassVar, Literal

import msgspec

from model_side.exchange import LayerExchange
from model_side.selection import Layer, Selection


class Policy(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Base of all policies, built-in or a user's own. The fields of a subclass are its options.

    One is made for each variant of a run. It is called once a layer with a `Layer` and returns a `Selection`, best made
    by `Layer.leave_out` or of arrays over all tokens; what was chosen before it, by the model or by an earlier step, is
    `Layer.selection`. It may keep state, in attributes set in `__post_init__`, as a function of what it was shown
    alone: so a run that is resumed or replayed rebuilds it.

    Its docstring says what it is in the first line and explains each option in a paragraph that begins with the name in
    backquotes. Constraints stand in the annotations (`Annotated[float, msgspec.Meta(ge=0)]`).
    """

    name: ClassVar[str] = ""
    """By which it is asked for; of one in a file, the class's name if it says nothing."""
    formula: ClassVar[str] = ""
    """The rule in a line."""
    source: ClassVar[str] = ""
    """Where the rule is from, and whether this is its own text or a reconstruction."""
    allocates: ClassVar[bool] = False
    """Whether it gives shares of the band, which not every network can."""
    file: ClassVar[str] = ""
    """Where it is, if it is not built in."""
    needs_probabilities: ClassVar[bool] = False
    """Whether it looks at all experts' probabilities, which not every recording has."""

    needs_calibration: ClassVar[Literal["", "routing", "outputs"]] = ""
    """Whether it looks at `Layer.calibration`: at what routing alone tells, or also at what experts put out."""
    foresees: ClassVar[bool] = False
    """Whether it asks `Forecast.foresee`, which only a what-if can answer."""

    @property
    def needs_joules(self) -> bool:
        """Whether it asks for energy, which is not known of every device; a run without is then refused at once."""
        return False

    def __call__(self, layer: Layer) -> Selection:
        """The experts to ask in this layer."""
        raise NotImplementedError

    def observe(self, exchange: LayerExchange) -> None:
        """What came of the latest selection."""
