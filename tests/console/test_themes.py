"""Themes: enough contrast, colours that stay apart for everybody, one's own in the configuration file, `:theme`."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from rich._palettes import STANDARD_PALETTE
from textual.color import Color, Lab, rgb_to_lab

from backends.contexts import load_config
from backends.errors import BadInputError
from console.theme import BUILT_IN, COLORS, load_themes, theme_for
from tests.console.app_helpers import console

BLIND = {  # Machado, Oliveira, Fernandes 2009, severity 1.0
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "tritanopia": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}


def linear(color: str) -> list[float]:
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in Color.parse(color).normalized]


def contrast(one: str, other: str) -> float:
    """As WCAG 2 counts it."""
    shares = (0.2126, 0.7152, 0.0722)
    dark, light = sorted(sum(a * b for a, b in zip(linear(c), shares, strict=True)) for c in (one, other))
    return (light + 0.05) / (dark + 0.05)


def seen(color: str, matrix: tuple[tuple[float, ...], ...]) -> Lab:
    """The colour as such an eye sees it."""
    mixed = [min(1.0, max(0.0, sum(a * b for a, b in zip(row, linear(color), strict=True)))) for row in matrix]
    back = [c * 12.92 if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in mixed]
    return rgb_to_lab(Color(*(round(c * 255) for c in back)))


@pytest.mark.parametrize("name", BUILT_IN)
def test_text_can_be_read(name: str) -> None:
    theme = BUILT_IN[name]
    colors = {key: getattr(theme, key) for key in COLORS} | theme.variables
    least = 7.0 if name == "high-contrast" else 4.5
    for key in ("foreground", "primary", "secondary", "success", "warning", "error", "text-dim", "text-strong"):
        for ground in ("background", "panel"):
            found = contrast(colors[key], colors[ground])
            assert found >= least, (key, ground, found)
    for key in ("foreground", "success", "warning", "error", "text-strong"):
        for ground in ("selected", "heat-1", "heat-2", "heat-3", "heat-4"):
            wanted = 3.0 if key in ("success", "warning", "error") else 4.5
            found = contrast(colors[key], colors[ground])
            assert found >= wanted, (key, ground, found)
    faint = contrast(colors["text-faint"], colors["background"])
    assert faint >= 3.0, faint


def test_a_terminal_of_sixteen_colours_gets_them_as_they_are() -> None:
    theme = BUILT_IN["sixteen"]
    known = {tuple(color) for color in STANDARD_PALETTE._colors}
    for color in (*(getattr(theme, key) for key in COLORS), *theme.variables.values()):
        assert Color.parse(color).rgb in known, color
    assert [theme_for("dark", has) for has in ("standard", "256", "truecolor", None)] == ["sixteen", *["dark"] * 3]
    assert theme_for("light", "standard") == "light"


@pytest.mark.parametrize("kind", BLIND)
def test_outcomes_stay_apart_without_seeing_every_colour(kind: str) -> None:
    theme = BUILT_IN["colour-blind"]
    for one, other in combinations(("success", "warning", "error", "secondary"), 2):
        a, b = (seen(getattr(theme, key) or "", BLIND[kind]) for key in (one, other))
        far = ((a.L - b.L) ** 2 + (a.a - b.a) ** 2 + (a.b - b.b) ** 2) ** 0.5
        assert far >= 20, (one, other, far)


def loaded(folder: Path, text: str) -> dict[str, object]:
    (folder / "config.toml").write_text(text)
    return dict(load_themes(load_config({"CRONSOLE_CONFIG": str(folder / "config.toml")})))


def test_a_theme_of_ones_own(tmp_path: Path) -> None:
    text = "[themes.mine]\nbase = 'light'\nprimary = '#112233'\nheat-1 = '#ffffff'\nbackground = '#fefefe'"
    (mine,) = [t for name, t in loaded(tmp_path, text).items() if name not in BUILT_IN]
    light = BUILT_IN["light"]
    assert (mine.primary, mine.accent, mine.background, mine.surface) == (*["#112233"] * 2, *["#fefefe"] * 2)  # type: ignore[attr-defined]
    assert (mine.error, mine.dark) == (light.error, False)  # type: ignore[attr-defined]
    assert mine.variables == light.variables | {"heat-1": "#ffffff", "primary": "#112233", "background": "#fefefe"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "told", "remedy"),
    [
        ("[themes.mine]\nprimry = '#112233'", "unknown colour 'primry' in [themes.mine]", "'primary'"),
        ("[themes.mine]\nprimary = 'red; }'", "primary = 'red; }'", "#7fb8ec"),
        ("[themes.mine]\nprimary = 3", "primary = '3'", "#7fb8ec"),
        ("[themes.mine]\nbase = 'ligth'", "base = 'ligth'", "'light'"),
        ("[themes.dark]\nprimary = '#112233'", "'dark'", "new name"),
        ("[themes]\nmine = 3", "[themes.mine] is not a table", "[themes.mine]"),
    ],
)
def test_a_bad_theme_is_one_line(tmp_path: Path, text: str, told: str, remedy: str) -> None:
    with pytest.raises(BadInputError) as caught:
        loaded(tmp_path, text)
    assert told in caught.value.message
    assert remedy in caught.value.remedy


async def test_theme_changes_every_screen_at_once() -> None:
    theme = BUILT_IN["dark"]
    dark = {Color.parse(c).rgb for c in (theme.background, theme.panel, theme.primary, *theme.variables.values())}
    async with console() as c:
        await c.pilot.press("8", "1")
        await c.until(lambda: "backup_history" in c.screen())
        await c.pilot.press("colon", *"theme", "space", *"light", "enter")
        await c.until(lambda: c.app.theme == "light")
        ground = Color.parse(BUILT_IN["light"].background).rgb
        for key in ("1", "8", "7", "2"):
            await c.pilot.press(key)
            await c.pilot.pause(0.1)
            strips = c.app.screen._compositor.render_strips()
            styles = [s.style for line in strips for s in line if s.style]
            found = {color.triplet for style in styles for color in (style.bgcolor, style.color) if color}
            assert ground in found
            assert not found & dark, f"the screen on {key} has colours of the dark theme"
