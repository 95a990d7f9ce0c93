# SPDX-License-Identifier: Apache-2.0
"""The shipped models, by what their configurations say."""

from model_side.model.model_folder import SHIPPED_MODELS, check_model

MIXTURES = [name for name, folder in SHIPPED_MODELS.items() if check_model(folder, dense=True).experts is not None]
"""Those with experts."""
DENSE = [name for name in SHIPPED_MODELS if name not in MIXTURES]
