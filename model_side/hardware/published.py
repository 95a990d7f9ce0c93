# SPDX-License-Identifier: Apache-2.0
"""Published inference speeds of whole models on real devices, batch 1, to hold the compute model against."""

from dataclasses import dataclass

from model_side.hardware.profiles import Hardware, Work, attention_work, expert_work, lm_head_work

CONTEXT = 512  # tokens in the KV cache in decode: few sources say, and it weighs little
PROMPT = 2048  # tokens in prefill: no source says


@dataclass(frozen=True)
class Weights:
    """Bits that a stored weight takes, group scales included: of the quantized matrices, all others, the head."""

    name: str
    quantized_bits: float
    other_bits: float
    head_bits: float


BF16 = Weights("16 bit", 16, 16, 16)
MLC = Weights("INT4, MLC", 4.5, 4.5, 4.5)  # q4f16_1: groups of 32, a 16-bit scale each; all matrices
W4A16 = Weights("W4A16", 4.16, 4.16, 16)  # AWQ, GPTQ: groups of 128 with scale and zero point; the head stays
W4A16_EXPERTS = Weights("W4A16 experts", 4.16, 16, 16)  # GPTQ of Qwen MoE models quantizes routed experts alone
Q4_K_M = Weights("Q4_K_M", 4.85, 4.85, 6.56)  # llama.cpp's mean; the head in Q6_K
Q4_0 = Weights("Q4_0", 4.5, 4.5, 6.56)


@dataclass(frozen=True)
class PublishedModel:
    """A decoder-only model's sizes, from its config.json; `experts` of 1 with `top_k` 1 is a dense model.

    `linear_layers` of the `layers` use linear attention, counted as one matrix of hidden x `linear_width`.
    """

    name: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    experts: int = 1
    top_k: int = 1
    shared_intermediate: int = 0
    linear_layers: int = 0
    linear_width: int = 0

    def work(self, weights: Weights, tokens: int, context: int) -> list[tuple[int, Work]]:
        """A forward pass of `tokens` tokens as (times, work) of its parts. Only the last token's logits are made."""
        attention_bits = weights.quantized_bits if self.experts == 1 else weights.other_bits
        attention = attention_work(
            tokens, context, self.hidden, self.heads, self.kv_heads, self.head_dim, 2, attention_bits
        )
        linear = lm_head_work(tokens, self.hidden, self.linear_width, 2, attention_bits)
        busy = min(self.experts, tokens * self.top_k)
        routed = expert_work(
            [tokens * self.top_k / busy] * busy, self.hidden, self.intermediate, 2, weights.quantized_bits
        )
        shared = expert_work(tokens, self.hidden, self.shared_intermediate, 2, weights.other_bits)
        block = (routed[0].sum() + shared[0], routed[1].sum() + shared[1])
        return [
            (self.layers - self.linear_layers, attention),
            (self.linear_layers, linear),
            (self.layers, block),
            (1, lm_head_work(1, self.hidden, self.vocab, 2, weights.head_bits)),
        ]

    def latency_s(self, hardware: Hardware, weights: Weights, tokens: int, context: int) -> float:
        """Seconds for a forward pass."""
        return sum(times * float(hardware.latency_s(*work)) for times, work in self.work(weights, tokens, context))


LLAMA_3_1_8B = PublishedModel("Llama 3.1 8B", 32, 4096, 14336, 32, 8, 128, 128256)
LLAMA_3_2_3B = PublishedModel("Llama 3.2 3B", 28, 3072, 8192, 24, 8, 128, 128256)
LLAMA_2_13B = PublishedModel("Llama 2 13B", 40, 5120, 13824, 40, 40, 128, 32000)
QWEN2_5_7B = PublishedModel("Qwen2.5 7B", 28, 3584, 18944, 28, 4, 128, 152064)
QWEN2_5_1_5B = PublishedModel("Qwen2.5 1.5B", 28, 1536, 8960, 12, 2, 128, 151936)
GEMMA_2_2B = PublishedModel("Gemma 2 2B", 26, 2304, 9216, 8, 4, 256, 256000)
QWEN3_1_7B = PublishedModel("Qwen3 1.7B", 28, 2048, 6144, 16, 8, 128, 151936)
QWEN3_0_6B = PublishedModel("Qwen3 0.6B", 28, 1024, 3072, 16, 8, 128, 151936)
# 16 query heads of 256 with an output gate as wide, counted as 24. 30 layers are Gated DeltaNets, whose
# projections are 2048 wide (query, key) and 4096 wide (value, gate, output).
QWEN3_5_35B = PublishedModel(
    "Qwen3.5 35B-A3B",
    *(40, 2048, 512, 24, 2, 256, 248320),
    experts=256,
    top_k=8,
    shared_intermediate=512,
    linear_layers=30,
    linear_width=2 * 2048 + 3 * 4096,
)


@dataclass(frozen=True)
class Measurement:
    """One published figure: tokens per second in decode or, where `prefill`, over a prompt.

    `calibrates`: the profile's efficiency was chosen on this row; all other rows are tests. `explanation`
    says what a row that is far off shows.
    """

    hardware: str
    model: PublishedModel
    weights: Weights
    tokens_per_s: float
    source: str
    prefill: bool = False
    calibrates: bool = False
    explanation: str = ""

    def predicted_tokens_per_s(self, hardware: Hardware) -> float:
        """What the roofline gives for it."""
        if self.prefill:
            return PROMPT / self.model.latency_s(hardware, self.weights, PROMPT, PROMPT)
        return 1 / self.model.latency_s(hardware, self.weights, 1, CONTEXT)


JETSON_BLOG = "NVIDIA, Orin Nano Super blog"
EMBEDL = "embedl Edge-Inference-Benchmarks"
ORIN_CARD = "thehighnotes/vllm-jetson-orin"
EDGE_LLM = "TensorRT Edge-LLM 0.4.0"
CONSCIOUS = "arXiv 2603.23640"
GEERLING = "geerlingguy/ai-benchmarks #7"
ADRENO = "ggml-org/llama.cpp #14337"

GEMMA = (
    "The software: the same board and software read the three other models' weights at 74 to 87 % of the "
    "bandwidth, this one's at 46 %."
)
SOFTWARE = (
    "The software: on the same board vLLM decodes this model 1.4 times and prefills it 3.8 times as fast, "
    "though it reads more bytes. llama.cpp waits for something else than memory or arithmetic."
)

# What the roofline cannot say, and why.
NOT_EXPRESSED = (
    "Raspberry Pi 5 with Hailo-10H, Qwen2.5 1.5B, 6.9 tokens/s (arXiv 2603.23640): the source blames the module's "
    "memory bandwidth and gives no figure for it.",
    "Power modes and heat (25 W against 15 W on an Orin Nano Super, phones that slow down within two runs): "
    "a profile has one speed, that of a cool device in its fastest mode.",
)

MEASUREMENTS = (
    Measurement("jetson-orin-nano", LLAMA_3_1_8B, MLC, 14.0, JETSON_BLOG),
    Measurement("jetson-orin-nano", LLAMA_3_2_3B, MLC, 27.7, JETSON_BLOG),
    Measurement("jetson-orin-nano", QWEN2_5_7B, MLC, 14.2, JETSON_BLOG),
    Measurement("jetson-orin-nano", GEMMA_2_2B, MLC, 21.5, JETSON_BLOG, explanation=GEMMA),
    Measurement("jetson-orin-nano-super", LLAMA_3_1_8B, MLC, 19.14, JETSON_BLOG),
    Measurement("jetson-orin-nano-super", LLAMA_3_2_3B, MLC, 43.07, JETSON_BLOG),
    Measurement("jetson-orin-nano-super", QWEN2_5_7B, MLC, 21.75, JETSON_BLOG),
    Measurement("jetson-agx-orin", QWEN3_1_7B, BF16, 45.83, EMBEDL, calibrates=True),
    Measurement("jetson-agx-orin", QWEN3_1_7B, W4A16, 100.96, EMBEDL),
    Measurement("jetson-agx-orin", QWEN3_0_6B, BF16, 117.52, EMBEDL, calibrates=True),
    Measurement("jetson-agx-orin", QWEN3_5_35B, W4A16_EXPERTS, 31.4, ORIN_CARD),
    Measurement("jetson-agx-orin", QWEN3_5_35B, W4A16_EXPERTS, 2001, ORIN_CARD, prefill=True, calibrates=True),
    Measurement("jetson-agx-orin", QWEN3_5_35B, Q4_K_M, 22.5, ORIN_CARD, explanation=SOFTWARE),
    Measurement("jetson-agx-orin", QWEN3_5_35B, Q4_K_M, 523, ORIN_CARD, prefill=True, explanation=SOFTWARE),
    Measurement("jetson-agx-thor", QWEN3_1_7B, BF16, 49.31, EMBEDL),
    Measurement("jetson-agx-thor", LLAMA_3_1_8B, W4A16, 50.8, EDGE_LLM),
    Measurement("jetson-agx-thor", LLAMA_3_1_8B, W4A16, 1777, EDGE_LLM, prefill=True, calibrates=True),
    Measurement("nvidia-rtx-4050-laptop", QWEN2_5_1_5B, W4A16, 131.7, CONSCIOUS),
    Measurement("snapdragon-8-gen-3", QWEN2_5_1_5B, Q4_0, 27.34, ADRENO, calibrates=True),
    Measurement("snapdragon-8-gen-3", QWEN2_5_1_5B, Q4_0, 238.94, ADRENO, prefill=True, calibrates=True),
    Measurement("raspberry-pi-5", LLAMA_3_2_3B, Q4_K_M, 4.51, GEERLING, calibrates=True),
    Measurement("raspberry-pi-5", LLAMA_3_1_8B, Q4_K_M, 2.05, GEERLING),
    Measurement("raspberry-pi-5", LLAMA_2_13B, Q4_0, 1.35, GEERLING),
)
