# SPDX-License-Identifier: Apache-2.0
"""What a service did, as the journal's tables have it."""

from typing import Any

from msgspec.structs import astuple

from model_side.service.on_air import CallRecord
from model_side.service.scheduler import RequestRecord
from model_side.service.serve import PassRecord


def pass_rows(record: PassRecord) -> dict[str, list[list[Any]]]:
    """The rows of a pass by table, without the variant and the number of its first exchange that each begins with."""
    rows, first = [], 0
    for part in record.parts:
        rows.append([first, part.request, part.phase.value, part.position, part.tokens])
        first += part.tokens
    return {
        "passes": [[record.start_ns, record.end_ns, record.waiting, record.cache_bytes]],
        "pass_rows": rows,
    }


def call_rows(record: CallRecord, exchange: int) -> dict[str, list[list[Any]]]:
    """The rows of a call of `MessageNetwork.convey` behind so many exchanges, without its variant and number."""
    sent = []
    for (message, device, is_uplink, *figures), request, position in (
        (astuple(each.message), each.request, each.position) for each in record.sent
    ):
        sent.append([message, device, int(is_uplink), *figures, request, position])
    return {
        "calls": [[exchange, record.until_ns, record.conveyed.now_ns]],
        "messages": sent,
        "deliveries": [[each.message, each.status.value, each.end_ns] for each in record.conveyed.deliveries],
    }


def request_rows(record: RequestRecord) -> dict[str, list[list[Any]]]:
    """The row of a request, without its variant and number."""
    asked = [record.arrival_ns, record.prompt_tokens, record.new_tokens]
    return {"requests": [[*asked, record.admitted_ns, record.end_ns, record.ending.value]]}
