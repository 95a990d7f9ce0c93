# SPDX-License-Identifier: Apache-2.0
"""An item of a task as the journal's tables have it."""

from typing import Any

from model_side.tasks.score import ItemScore


def item_rows(score: ItemScore) -> dict[str, list[list[Any]]]:
    """The rows of an item by table, without the variant and number that each begins with."""
    place = [score.task, score.subject, score.line, score.request, score.requests]
    return {
        "items": [[*place, score.answer, score.given, score.reference]],
        "scores": [[metric, value, reference] for metric, (value, reference) in score.scores.items()],
    }
