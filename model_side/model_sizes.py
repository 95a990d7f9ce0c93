# SPDX-License-Identifier: Apache-2.0
"""The sizes of a model of transformers, read from the modules that are there rather than from its configuration.

`model_side.shapes` explains what they mean. This file needs torch and transformers and nothing else of the package, so
that it can be copied beside `record_routing.py`.

Every matrix of a decoder layer but those of router and routed experts is passed by each token at the base station, so
that all of them are counted, whatever they are called. What a layer keeps of the tokens before comes from its kind:

- attention: keys and values; multi-head latent attention: the latent and the rotary key that all heads share;
- Mamba, gated delta rule, lightning attention: a state, which each token changes and reads;
- a short convolution: its last inputs.
"""

from collections.abc import Iterator, Sequence
from typing import Any

ELEMENT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_OUTPUTS = ("o_proj", "out_proj", "dense", "wo", "o_b_proj")
_DOWN = ("down_proj", "w2", "output_linear", "fc2")
_NO_MATRIX = ("A_log", "sinks", "scale_table")

Layer = dict[str, list[dict[str, int]]]


def sizes(model: Any, blocks: Sequence[Any], top_k: int, stored_dtype: str = "") -> dict[str, Any]:
    """The sizes that decide a model's bytes on the air and its work, as `model_side.shapes.ModelShape` has them.

    `blocks` have `name`, `block`, `router` and `experts`. `stored_dtype`: the type of elements that the model was made
    in, "" for the one that it computes in here.
    """
    config = model.config.get_text_config()
    name, _, _ = blocks[0].name.partition(f".{_index(blocks[0])}")
    decoder = list(model.get_submodule(name).children())
    experts = blocks[0].experts
    count, hidden = int(experts.num_experts), int(config.hidden_size)
    down = down_of(experts)
    matrices = [parameter for parameter in experts.parameters() if parameter.dim() == down.dim()]
    width = _travelling(experts, hidden)
    inner = down.numel() // (count * width)
    heads = _figure(config, "num_attention_heads")
    head_dim = _figure(config, "head_dim") or (hidden // heads if heads else 0)
    of_layer = {_index(block): block for block in blocks}
    layers = [_layer(layer, of_layer.get(at), config, at) for at, layer in enumerate(decoder)]
    dense = [feed["inner"] for at, layer in enumerate(layers) if at not in of_layer for feed in layer["feed_forwards"]]
    shared = [feed["inner"] for at in of_layer for feed in layers[at]["feed_forwards"]]
    return {
        "hidden": hidden,
        "intermediate": inner,
        "heads": heads,
        "kv_heads": _figure(config, "num_key_value_heads") or heads,
        "head_dim": head_dim,
        "vocab": int(config.vocab_size),
        "element_bytes": ELEMENT_BYTES.get(stored_dtype) or down.element_size(),
        "decoder_layers": len(decoder),
        "moe_layers": list(of_layer),
        "experts": count,
        "top_k": top_k,
        "shared_intermediate": shared[0] if shared else 0,
        "dense_intermediate": dense[0] if dense else 0,
        "expert_matrices": sum(parameter.numel() for parameter in matrices) // (count * width * inner),
        "latent": 0 if width == hidden else width,
        "layers": layers,
    }


def down_of(experts: Any) -> Any:
    """The output matrices of all experts of a block, in one tensor; None if they are not fused.

    DBRX keeps its three in a module of their own, each [E * I, H].
    """
    found = getattr(experts, "down_proj", None)
    return getattr(getattr(experts, "mlp", None), "w2", None) if found is None else found


def _index(block: Any) -> int:
    """Which decoder layer a block is in: the first number of its name."""
    return next(int(part) for part in block.name.split(".") if part.isdigit())


def _figure(config: Any, name: str) -> int:
    """A size of a configuration; 0 where it has none, or one for each layer."""
    try:
        return int(getattr(config, name, None) or 0)
    except Exception:  # transformers has kinds of its own for what differs by layer
        return 0


def _travelling(experts: Any, hidden: int) -> int:
    """Elements of what goes into an expert and comes out: the hidden state, or a latent in its place."""
    down = down_of(experts)
    if down.dim() != 3 or hidden in down.shape[1:]:
        return hidden
    up = experts.up_proj if hasattr(experts, "up_proj") else experts.gate_up_proj
    both = set(down.shape[1:]) & set(up.shape[1:])
    return int(both.pop()) if len(both) == 1 else int(down.shape[1])


def _layer(layer: Any, block: Any, config: Any, at: int) -> Layer:
    """One decoder layer: what mixes its tokens, and the feed-forward networks that all of them pass."""
    away = () if block is None else (block.router, block.experts)
    mixers: list[dict[str, int]] = []
    feeds: list[dict[str, int]] = []
    rest = 0

    def walk(module: Any) -> None:
        nonlocal rest
        if any(module is one for one in away):
            return
        children = list(module.children())
        within = sum(_matrices(child) for child in children if _is_mixer(child))
        down = next((getattr(module, name) for name in _DOWN if hasattr(module, name)), None)
        if _is_mixer(module) and 2 * within < _matrices(module):
            mixers.append(_mixer(module, config, at))
        elif down is not None and "norm" not in type(module).__name__.lower():
            feeds.append({"weights": _matrices(module), "inner": int(getattr(down, "in_features", 0))})
        else:
            rest += sum(parameter.numel() for name, parameter in _own(module) if parameter.dim() > 1)
            for child in children:
                walk(child)

    rest += sum(parameter.numel() for name, parameter in _own(layer) if parameter.dim() > 1)
    for child in layer.children():
        walk(child)
    main: dict[str, int] = max(mixers, key=lambda mixer: mixer["weights"], default={"weights": 0})
    for small in [mixer for mixer in mixers if 100 * mixer["weights"] < main["weights"]]:
        mixers.remove(small)
        for name, value in small.items():
            main[name] = main.get(name, 0) + value
    if mixers or feeds:
        (mixers or feeds)[0]["weights"] += rest  # small ones, which are no work of their own
    elif rest:
        feeds.append({"weights": rest, "inner": 0})
    return {"mixers": mixers, "feed_forwards": feeds}


def _own(module: Any) -> Iterator[tuple[str, Any]]:
    return (item for item in module.named_parameters(recurse=False) if item[0] not in _NO_MATRIX)


def _matrices(module: Any) -> int:
    """The weights of all matrices within a module; what is added or scaled by is none."""
    return sum(
        parameter.numel()
        for name, parameter in module.named_parameters()
        if parameter.dim() > 1 and name.rsplit(".", 1)[-1] not in _NO_MATRIX
    )


def _is_mixer(module: Any) -> bool:
    name = type(module).__name__.lower()
    named = any(part in name for part in ("attention", "attn", "mamba", "deltanet", "delta", "shortconv", "mixer"))
    return named and any(True for _ in module.children()) and "norm" not in name.removesuffix("attentionnorm")


def _mixer(module: Any, config: Any, at: int) -> dict[str, int]:
    found = {"weights": _matrices(module)}
    kernel: Any = getattr(module, "conv1d", None) or getattr(module, "conv", None)
    convolved = int(kernel.weight.numel()) if hasattr(kernel, "weight") else 0
    if hasattr(module, "A_log") or _kind(config, at) == "linear_attention":
        state, operations = _recurrence(module)
        return {**found, "state_elements": state + convolved, "state_operations": operations * state}
    if convolved and not hasattr(module, "k_proj"):
        return {**found, "state_elements": convolved}
    if hasattr(module, "kv_b_proj") and hasattr(module, "kv_lora_rank"):
        return {**found, **_latent(module), "window": _window(module, config, at)}
    heads = int(getattr(module, "num_heads", 0) or _figure(config, "num_attention_heads"))
    head_dim = int(getattr(module, "head_dim", 0) or 0)
    width = _outputs(module) or heads * head_dim
    keys = int(getattr(getattr(module, "k_proj", None), "out_features", 0) or 0)
    values = int(getattr(getattr(module, "v_proj", None), "out_features", 0) or keys)
    if not keys:
        keys = values = head_dim * int(getattr(module, "num_key_value_heads", 0) or _kv_heads(module, config, heads))
    return {
        **found,
        "pair_operations": 4 * width,
        "cache_elements": keys + values,
        "window": _window(module, config, at),
    }


def _kv_heads(module: Any, config: Any, heads: int) -> int:
    groups = int(getattr(module, "num_key_value_groups", 0) or 0)
    return heads // groups if groups else _figure(config, "num_key_value_heads") or heads


def _outputs(module: Any) -> int:
    """Elements that all heads give together: the width of what the output projection gets; 0 if there is none."""
    found = (getattr(getattr(module, name, None), "in_features", 0) for name in _OUTPUTS)
    return next((int(width) for width in found if width), 0)


def _latent(module: Any) -> dict[str, int]:
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""
    heads, rank, rope = int(module.num_heads), int(module.kv_lora_rank), int(module.qk_rope_head_dim)
    keys = int(getattr(module, "qk_nope_head_dim", 0)) + rope
    return {
        "pair_operations": 2 * heads * (keys + int(module.v_head_dim)),
        "cache_elements": rank + rope,
        "latent_weights": int(module.kv_b_proj.weight.numel()),
        "latent_pair_operations": 2 * heads * (2 * rank + rope),
    }


def _recurrence(module: Any) -> tuple[int, int]:
    """Elements of a state, and operations a token for each: those of the recurrence, step by step.

    Mamba and lightning attention: decay, input (two), output (two). Gated delta rule: decay, what the state answers to
    the key (two), the correction (two), output (two).
    """
    if "lightning" in type(module).__name__.lower():
        return _outputs(module) * int(module.head_dim), 5
    if hasattr(module, "head_k_dim") and hasattr(module, "head_v_dim"):
        heads = int(getattr(module, "num_v_heads", 0) or module.num_heads)
        return heads * int(module.head_k_dim) * int(module.head_v_dim), 7
    if not hasattr(module, "A_log") or "delta" in type(module).__name__.lower():
        return int(module.num_heads) * int(module.head_dim) ** 2, 7
    state = int(getattr(module, "ssm_state_size", 0) or module.A_log.shape[-1])
    return int(module.intermediate_size) * state, 5


def _kind(config: Any, at: int) -> str:
    """What a configuration calls the kind of a layer's attention; empty if it says nothing."""
    kinds = getattr(config, "layer_types", None)
    return str(kinds[at]) if kinds and at < len(kinds) else ""


def _window(module: Any, config: Any, at: int) -> int:
    """How many tokens a token sees at most; 0: all before it."""
    kind = _kind(config, at)
    if kind == "chunked_attention":
        return int(config.attention_chunk_size)
    if kind == "full_attention":
        return 0
    if hasattr(module, "sliding_window"):
        return int(module.sliding_window or 0)
    if kind and "sliding" not in kind:
        return 0
    if getattr(config, "use_sliding_window", True) is False:
        return 0
    return _figure(config, "sliding_window")
