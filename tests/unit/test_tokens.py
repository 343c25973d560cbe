"""The dashboard's colours: text is at least 4.5:1 on each ground it stands on, borders 3:1, in both themes."""

import re
from pathlib import Path

import pytest

STYLE = Path(__file__).parents[2] / "mqfast/http/ui/src/style.css"
TOKENS: dict[str, tuple[str, str]] = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", STYLE.read_text(encoding="utf-8")
    )
}
STATES = ("waiting", "active", "delayed", "blocked", "completed", "failed", "paused")
GROUNDS = ("bg", "surface", "sunken")


def luminance(colour: str) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.03928 else float(((part + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("token", ["text", "muted", "accent", *STATES])
def test_text_can_be_read(token: str, ground: str, theme: int) -> None:
    assert contrast(TOKENS[token][theme], TOKENS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
def test_borders_of_controls_can_be_seen(ground: str, theme: int) -> None:
    assert contrast(TOKENS["control"][theme], TOKENS[ground][theme]) >= 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("token", ["accent", "failed"])
def test_text_on_a_button_s_colour_can_be_read(token: str, theme: int) -> None:
    assert contrast(TOKENS["on-colour"][theme], TOKENS[token][theme]) >= 4.5
