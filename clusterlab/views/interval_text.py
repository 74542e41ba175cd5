"""The interval chart of a verdict in letters, for where no picture can be."""

from __future__ import annotations

from collections.abc import Iterator

from clusterlab.views.intervals import Bar, Chart

TEXT_WIDTH = 72


def lines_of(chart: Chart) -> Iterator[str]:
    """One line a lane: `[==3==]` is in the order, `[XXXX]` fits nowhere, `[~~~~>` is open."""
    span_ms = chart.last_ms - chart.first_ms

    def column(at_ms: float) -> int:
        return round((at_ms - chart.first_ms) / span_ms * (TEXT_WIDTH - 1))

    name_width = max(len(name) for name in chart.rows)
    for strip in chart.faults:
        end = "" if strip.end_ms is None else f" to {strip.end_ms:,.0f}"
        yield f"{'':{name_width}}  fault: {strip.words}, {strip.start_ms:,.0f}{end} ms"
    for name, count in chart.rows.items():
        for lane in range(count):
            line = [" "] * (TEXT_WIDTH + 1)
            for bar in chart.bars:
                if (bar.operation.client, bar.lane) == (name, lane):
                    start = column(bar.operation.invoked_ms)
                    stop = max(start + 2, column(bar.end_ms(chart.last_ms)))
                    line[start : stop + 1] = _letters(bar, stop - start - 1)
            yield f"{name if lane == 0 else '':{name_width}}  {''.join(line).rstrip()}"
    yield f"{'':{name_width}}  {chart.first_ms:,.0f} to {chart.last_ms:,.0f} ms"


def _letters(bar: Bar, inside: int) -> str:
    fill = {"misfit": "X", "placed": "=", "because": "=", "failed": "."}.get(bar.style, "-")
    number = "" if bar.number is None else str(bar.number)
    body = number.center(inside, fill) if bar.known else number.center(inside, "~")
    return (
        f"[{body[:inside] if len(number) <= inside else fill * inside}{']' if bar.known else '>'}"
    )
