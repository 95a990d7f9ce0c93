# SPDX-License-Identifier: Apache-2.0
"""A causal language model of transformers, whose numbers are looked at and whose errors are ours."""

from typing import Any

import torch
from torch import Tensor

from bridge.network import RequestError
from model_side.model.model_folder import ModelError, one_line


class NotFinite(RequestError):
    """A model that gives numbers that are none: NaN, or such as its type of elements cannot hold."""

    def __init__(self, model: str, where: str, dtype: torch.dtype):
        self.where = where
        name = str(dtype).removeprefix("torch.")
        reason = f"{model}, computing in {name}, does not give finite numbers: {where}"
        if dtype is torch.float16:
            reason += "; float16 ends at 65504, so take bfloat16 or float32"
        super().__init__("model.dtype" if dtype is torch.float16 else "model.path", reason)


class CausalModel:
    """A model in evaluation mode."""

    def __init__(self, model: Any):
        self.model = model.eval()
        self.name = type(model).__name__
        self._outside: BaseException | None = None
        """What was raised in a hook of ours, which is no error of the model."""

    @torch.inference_mode()
    def forward(self, tokens: Tensor, cache: Any, what: str, use_cache: bool = True) -> tuple[Tensor, Any]:
        """Logits [N, V] of `tokens` [1, N] after what `cache` holds, and the cache grown by them.

        `what` names the pass. Raises `ModelError` for what goes wrong in the model, `NotFinite`, and as it is what
        stands in `_outside`.
        """
        self._outside = None
        try:
            output = self.model(input_ids=tokens, past_key_values=cache, use_cache=use_cache)
        except NotFinite as error:
            raise NotFinite(self.name, f"{error.where}, in {what}", self.model.dtype) from None
        except Exception as error:
            if error is self._outside or isinstance(error, RequestError):
                raise
            raise ModelError(f"{self.name} cannot compute {what}: {one_line(error)}") from error
        self.check_finite(output.logits, f"the logits after {what}")
        return output.logits[0], output.past_key_values if use_cache else None

    def check_finite(self, logits: Tensor, where: str) -> None:
        """Raise `NotFinite` for rows of logits whose largest is none; -inf is an entry that is masked."""
        if not bool(logits.amax(dim=-1).isfinite().all()):
            raise NotFinite(self.name, where, self.model.dtype)
