"""Charts of characters: an area over time, and bars."""

from collections.abc import Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_LEFT_EIGHTHS = " ▏▎▍▌▋▊▉█"


def area(values: Sequence[float | None], width: int, height: int) -> list[str]:
    """The last `width` values as an area, in rows from the top; the highest of them reaches the top.

    None leaves a gap. A value above 0 shows at least its lowest eighth.
    """
    shown = list(values[-width:])
    top = max((value for value in shown if value is not None), default=0.0)
    levels = [_level(value, top, height) for value in shown]
    rows = []
    for row in range(height - 1, -1, -1):
        cells = (_EIGHTHS[max(0, min(8, level - row * 8))] for level in levels)
        rows.append("".join(cells).rjust(width))
    return rows


def _level(value: float | None, top: float, height: int) -> int:
    """How many eighths of a row a value is high."""
    if not value or top <= 0:
        return 0
    return max(1, round(value / top * height * 8))


def bar(value: float, top: float, width: int) -> str:
    """A bar from the left, `width` characters for `top`; a value above 0 shows at least an eighth."""
    if value <= 0 or top <= 0:
        return ""
    eighths = max(1, round(min(value / top, 1.0) * width * 8))
    return "█" * (eighths // 8) + (_LEFT_EIGHTHS[eighths % 8] if eighths % 8 else "")
