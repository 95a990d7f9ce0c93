# SPDX-License-Identifier: Apache-2.0
"""The profiles, and the compute model against published measurements: `python -m model_side.hardware.check`."""

from rich import box
from rich.console import Console
from rich.table import Table

from model_side.hardware.profiles import PROFILES
from model_side.hardware.published import MEASUREMENTS, NOT_EXPRESSED, Measurement

WIDTH = 190
FAR_OFF = 0.25


def relative_error(measurement: Measurement) -> float:
    """(predicted - published) / published, in tokens per second."""
    return measurement.predicted_tokens_per_s(PROFILES[measurement.hardware]) / measurement.tokens_per_s - 1


def profile_table() -> Table:
    """All profiles with their speeds and efficiencies."""
    columns = ("device", "TFLOPS", "GB/s", "GiB", "prefill", "decode", "overhead µs", "source of the figures")
    table = Table(*columns, box=box.MARKDOWN)
    for hardware in PROFILES.values():
        table.add_row(
            hardware.name,
            f"{hardware.peak_flops / 1e12:g}",
            f"{hardware.memory_bandwidth_bytes_per_s / 1e9:g}",
            f"{hardware.memory_bytes / 2**30:g}",
            f"{hardware.prefill_efficiency:.2f}",
            f"{hardware.decode_efficiency:.2f}",
            f"{hardware.overhead_s * 1e6:g}",
            hardware.source,
        )
    return table


def power_table() -> Table:
    """What each profile draws while it computes."""
    table = Table("device", "W while it computes", "source of the figure, and its kind", box=box.MARKDOWN)
    for hardware in PROFILES.values():
        watts = "unknown" if hardware.compute_w is None else f"{hardware.compute_w:g}"
        table.add_row(hardware.name, watts, hardware.power_source or "none known")
    return table


def measurement_table() -> Table:
    """Published and predicted tokens per second, row by row."""
    columns = ("device", "model", "weights", "phase", "published tok/s", "predicted", "error", "row is for", "source")
    table = Table(*columns, box=box.MARKDOWN)
    for measurement in MEASUREMENTS:
        table.add_row(
            measurement.hardware,
            measurement.model.name,
            measurement.weights.name,
            "prefill" if measurement.prefill else "decode",
            f"{measurement.tokens_per_s:g}",
            f"{measurement.predicted_tokens_per_s(PROFILES[measurement.hardware]):.4g}",
            f"{100 * relative_error(measurement):+.0f} %",
            "calibration" if measurement.calibrates else "test",
            measurement.source,
        )
    return table


def tables() -> list[Table]:
    """All three."""
    return [profile_table(), power_table(), measurement_table()]


def remarks() -> list[str]:
    """What explains the rows that are far off, how many tests are near, and what has no row."""
    lines = [
        f"{row.hardware}, {row.model.name}, {row.weights.name}: {row.explanation}"
        for row in MEASUREMENTS
        if row.explanation
    ]
    tests = [row for row in MEASUREMENTS if not row.prefill and not row.calibrates]
    near = sum(abs(relative_error(row)) <= FAR_OFF for row in tests)
    return [
        f"Decode, rows that calibrated nothing: {near} of {len(tests)} within {FAR_OFF:.0%}.",
        *dict.fromkeys(lines),
        *(f"No row: {reason}" for reason in NOT_EXPRESSED),
    ]


def main() -> None:
    """Print the profiles, the comparison and the remarks."""
    console = Console(width=WIDTH, highlight=False)
    for table in tables():
        console.print(table)
    for remark in remarks():
        console.print(f"- {remark}", soft_wrap=True)


if __name__ == "__main__":
    main()
