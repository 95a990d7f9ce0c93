# SPDX-License-Identifier: Apache-2.0
"""What the BS expects of the links: ways of predicting, each in a file of its own, by name."""

from model_side.prediction.line import Line
from model_side.prediction.predictor import Prediction, Predictor

__all__ = ["PREDICTORS", "Prediction", "Predictor"]

PREDICTORS: dict[str, type[Predictor]] = {"line": Line}
