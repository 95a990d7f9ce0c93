# SPDX-License-Identifier: Apache-2.0
"""What no row of the tables of a service may be: in words, and in SQL."""

from bridge.network import Status
from model_side.selection import Phase
from model_side.service.scheduler import Ending

_MOST = 2**31 - 1
_STATUSES = ", ".join(f"'{status}'" for status in Status)
_NO_CALL = "NOT EXISTS (SELECT 1 FROM calls c WHERE (c.variant, c.call) = ({table}.variant, {table}.call))"
_ENDINGS = ", ".join(f"'{ending}'" for ending in Ending)

SERVICE_FAULTS = {
    "requests": {
        "a number is below 0": "min(request, arrival_ns) < 0 OR min(prompt_tokens, new_tokens) < 1",
        "a number is beyond 32 bits": f"max(request, prompt_tokens, new_tokens) > {_MOST}",
        "ending is unknown": f"ending NOT IN ({_ENDINGS})",
        "arrival_ns, admitted_ns and end_ns are not in order": "arrival_ns > end_ns OR admitted_ns < arrival_ns "
        "OR admitted_ns > end_ns",
    },
    "passes": {
        "a number is below 0": "min(waiting, cache_bytes) < 0",
        "begin_ns and end_ns are not in order": "begin_ns < 0 OR begin_ns > end_ns",
        "the variant has no such exchange": "NOT EXISTS (SELECT 1 FROM exchanges e WHERE "
        "(e.variant, e.exchange) = (passes.variant, passes.exchange))",
    },
    "pass_rows": {
        "phase is unknown": f"phase NOT IN ('{Phase.PREFILL}', '{Phase.DECODE}')",
        "a number is below 0": "min(row, request, position) < 0 OR tokens < 1",
        "a number is beyond 32 bits": f"max(row, request, position, tokens) > {_MOST}",
        "the variant has no such pass": "NOT EXISTS (SELECT 1 FROM passes p WHERE "
        "(p.variant, p.exchange) = (pass_rows.variant, pass_rows.exchange))",
    },
    "calls": {
        "a number is below 0": "min(exchange, until_ns, end_ns) < 0 OR call < 1",
        "end_ns and until_ns are not in order": "end_ns > until_ns",
    },
    "messages": {
        "the variant has no such call": _NO_CALL,
        "the variant has no such device": "NOT EXISTS (SELECT 1 FROM devices d WHERE "
        "(d.variant, d.device) = (messages.variant, messages.device))",
        "uplink is neither 0 nor 1": "uplink NOT IN (0, 1)",
        "a number is below 0": "min(message, request, coalesce(position, 0), begin_ns) < 0 OR size_bytes < 1",
        "a number is beyond 32 bits": f"max(message, request, coalesce(position, 0)) > {_MOST}",
        "begin_ns and deadline_ns are not in order": "begin_ns > deadline_ns",
    },
    "deliveries": {
        "the variant has no such call": _NO_CALL,
        "status is unknown": f"status NOT IN ({_STATUSES})",
        "a number is below 0": "min(message, end_ns) < 0",
        "the variant has no such message": "(variant, message) NOT IN (SELECT variant, message FROM messages)",
    },
}
