# SPDX-License-Identifier: Apache-2.0
"""What many requests in flight cost on this machine: the shipped model, 1 and 100 at a time.

Run `python -m bench.serving`. The network answers at once, and the unmodified model does not run beside.
"""

import resource
import time
from collections.abc import Callable, Iterable

import torch
from rich.console import Console
from rich.table import Table

from bench.base_station import InstantNetwork
from model_side.base_station import BaseStation
from model_side.element import WireFormat
from model_side.hardware.profiles import PROFILES
from model_side.hardware.roofline import RooflineTimes
from model_side.model.batch_answers import ModelAnswers
from model_side.model.inference import Request, generate
from model_side.model.loaded_model import shape_of
from model_side.model.loading import load, load_tokenizer
from model_side.model.moe import SplitModel
from model_side.model.workload import make_requests
from model_side.placement import place
from model_side.policies import make_policy
from model_side.prediction.shared import Shared
from model_side.service.coming import Wired
from model_side.service.scheduler import Arrival, Rules, Scheduler
from model_side.service.serve import serve
from model_side.serving import TokenRecord
from model_side.wire_profiles import wire_shape

DEVICES, REQUESTS, PROMPT_TOKENS, NEW_TOKENS = 8, 100, 64, 4


def base_station_of(split: SplitModel) -> BaseStation:
    """With the sizes of Mixtral-8x7B on the air, as `cosim run` has them."""
    shape = wire_shape("mixtral-8x7b", shape_of(split))
    compute = RooflineTimes(shape, PROFILES["nvidia-l4"], [PROFILES["jetson-agx-orin"]] * DEVICES, 16, 4)
    placement = place(len(split.blocks), split.num_experts, DEVICES)
    wire = WireFormat(shape.token_bytes)
    policy, network = make_policy("top-k"), InstantNetwork(DEVICES)
    return BaseStation(network, placement, compute, policy, Shared(DEVICES), wire, 10**12)


def one_by_one(split: SplitModel, requests: list[Request]) -> Iterable[TokenRecord]:
    """One request after the other."""
    return generate(split, base_station_of(split), requests, reference=False)


def at_once(split: SplitModel, requests: list[Request]) -> Iterable[TokenRecord]:
    """All in one batch."""
    base_station = base_station_of(split)
    answers = ModelAnswers(split, base_station, requests, reference=False)
    arrivals = [Arrival(number, 0, len(request.prompt), request.new_tokens) for number, request in enumerate(requests)]
    records = serve(base_station, Wired(arrivals), Scheduler(Rules()), answers)
    return [record for record in records if isinstance(record, TokenRecord)]


def measure(
    answer: Callable[[SplitModel, list[Request]], Iterable[TokenRecord]], split: SplitModel, requests: list[Request]
) -> tuple[float, float, dict[tuple[int, int], int]]:
    """CPU milliseconds for each token, wall-clock seconds of all, and the tokens by request and position."""
    began, cpu = time.perf_counter(), time.process_time()
    tokens = {(token.request, token.position): token.token_id for token in answer(split, requests)}
    return 1e3 * (time.process_time() - cpu) / len(tokens), time.perf_counter() - began, tokens


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    split, _ = load("shipped", "float32")
    requests = make_requests(split, load_tokenizer("shipped"), REQUESTS, PROMPT_TOKENS, NEW_TOKENS, 1)
    measure(one_by_one, split, requests[:2])
    table = Table("in flight", "CPU ms a token", "of one by one", "wall, s", "most memory, MiB", title="Serving")
    alone, wall_s, expected = measure(one_by_one, split, requests)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table.add_row("1", f"{alone:.2f}", "1.00", f"{wall_s:.1f}", f"{most:.0f}")
    together, wall_s, tokens = measure(at_once, split, requests)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table.add_row(str(REQUESTS), f"{together:.2f}", f"{together / alone:.2f}", f"{wall_s:.1f}", f"{most:.0f}")
    Console().print(table)
    print(f"the same {len(tokens)} tokens" if tokens == expected else "OTHER TOKENS")


if __name__ == "__main__":
    main()
