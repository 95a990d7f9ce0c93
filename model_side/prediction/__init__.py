# SPDX-License-Identifier: Apache-2.0
"""What the BS expects of the links: ways of predicting, each in a file of its own, by name."""

from model_side.prediction.cqi_rate import CqiRate
from model_side.prediction.ewma import Ewma
from model_side.prediction.last import Last
from model_side.prediction.line import Line
from model_side.prediction.predictor import Prediction, Predictor
from model_side.prediction.radiated import Radiated
from model_side.prediction.shared import Shared

__all__ = ["PREDICTORS", "Prediction", "Predictor", "Radiated"]

PREDICTORS: dict[str, type[Predictor]] = {
    "last": Last,
    "ewma": Ewma,
    "cqi-rate": CqiRate,
    "line": Line,
    "shared": Shared,
}
