# SPDX-License-Identifier: Apache-2.0
"""How the small Mixtral in `model_side/shipped` was made: text, tokenizer, training, evaluation."""
