"""One look for all figures: PNG on white, and SVG that follows the reader's light or dark theme."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaptox.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1b1f24"
SIZE = (4.8, 3.5)
# Okabe and Ito's colour-blind-safe palette (https://jfly.uni-koeln.de/color/): positives, negatives, the base.
POSITIVE, NEGATIVE, BASE = "#d55e00", "#0072b2", "#7f7f7f"
# Several runs in one figure: the same palette, each one step off the colours above, which the SVG replaces by hue.
RUNS = ("#0071b2", "#d55f00", "#009e73", "#cc79a7", "#56b3e9", "#e69e00")
_DARK_RUNS = ("#4aa5e6", "#f08a45", "#33c79d", "#e5a5c8", "#a3d6f5", "#ffcb66")
# What stands for a drawn colour in the SVG, so that a style sheet can set it for a light or a dark page.
_THEMED = {
    INK: "currentColor",
    POSITIVE: f"var(--positive, {POSITIVE})",
    NEGATIVE: f"var(--negative, {NEGATIVE})",
    BASE: f"var(--base, {BASE})",
    **{colour: f"var(--run-{place}, {colour})" for place, colour in enumerate(RUNS, 1)},
}
DARK_RUNS = ";".join(f"--run-{place}:{colour}" for place, colour in enumerate(_DARK_RUNS, 1))
_STANDALONE_STYLE = (
    "<style>svg{color:#1b1f24;font-family:system-ui,sans-serif}@media(prefers-color-scheme:dark)"
    f"{{svg{{color:#e8e6e3;--positive:#e69f00;--negative:#56b4e9;--base:#a0a0a0;{DARK_RUNS}}}}}</style>"
)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "savefig.facecolor": "auto",
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure.

    Attributes:
        name: file name without its ending.
        title: heading.
        caption: how to read it, one or two sentences.
        inline_svg: for a page, without XML head; ids are prefixed with the name.
        svg: a file of its own.
        png: a file of its own, on white.
    """

    name: str
    title: str
    caption: str
    inline_svg: str
    svg: bytes
    png: bytes

    def files(self) -> tuple[tuple[str, bytes], ...]:
        """Give the files: ending and content."""
        return (("svg", self.svg), ("png", self.png))


def draw(
    name: str, title: str, caption: str, paint: Callable[[Figure], None], size: tuple[float, float] = SIZE
) -> Drawing:
    """Draw one figure in the common look, without touching pyplot's or the caller's settings.

    Args:
        name: file name; also keeps the ids of several figures on one page apart.
        title: heading, and what a screen reader says.
        caption: how to read it.
        paint: fills an empty figure.
        size: width and height in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("report", "train", "matplotlib") from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_STYLE, "svg.hashsalt": name})
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=200, metadata={"Software": None})
        undated = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(svg, format="svg", transparent=True, metadata=undated)
    themed = _themed(svg.getvalue().decode(), name, title)
    inline = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", themed)
    standalone = themed.replace("<defs>", f"{_STANDALONE_STYLE}<defs>", 1)
    return Drawing(name, title, caption, inline, standalone.encode(), png.getvalue())


def _themed(svg: str, name: str, title: str) -> str:
    body = svg[svg.index("<svg") :].strip()
    for drawn, themed in _THEMED.items():
        body = body.replace(drawn, themed)
    body = body.replace("'DejaVu Sans'", "inherit")
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(href="|url\()#', rf"\1#{name}-", body)
    head, rest = body.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{html.escape(title)}">{rest}'
