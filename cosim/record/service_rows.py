# SPDX-License-Identifier: Apache-2.0
"""What a service did, as the journal's tables have it."""

from typing import Any

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


def request_rows(record: RequestRecord) -> dict[str, list[list[Any]]]:
    """The row of a request, without its variant and number."""
    asked = [record.arrival_ns, record.prompt_tokens, record.new_tokens]
    return {"requests": [[*asked, record.admitted_ns, record.end_ns, record.ending.value]]}
