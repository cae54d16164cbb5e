"""Small changes to asv's pages: a way back, colours, and what is shown first."""

import json
from importlib.metadata import version
from pathlib import Path

from benchmarks.contenders import BASELINE
from benchmarks.dashboard.style import LOOKS
from benchmarks.errors import HarnessError

BACK = '<li><a href="../index.html">Start page</a></li>'
TEMPLATES = Path(__file__).parent / "templates"
# asv has seven colours, fewer than there are contenders.
COLOURS = f"var colors = {json.dumps([look.light for look in LOOKS.values()])};"
STYLE = '<link href="asv.css" rel="stylesheet" type="text/css"/>'
OURS = """
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link href="dressed.css" rel="stylesheet" type="text/css"/>
    <script type="text/javascript" src="directions.js"></script>"""
CHOSEN = """j < param_values.length && (param_names.indexOf('contender') < 0
                            ? (j+1)*count <= max_curves
                            : j < 1 || param_name == 'contender');"""
# By file: what asv has, and what takes its place.
CHANGES: dict[str, list[tuple[str, str]]] = {
    "index.html": [
        (
            '<ul class="nav navbar-nav navbar-left">',
            f'<ul class="nav navbar-nav navbar-left">\n        {BACK}',
        ),
        (
            '<div id="graph">',
            '<p id="direction" role="note"></p>\n        <div id="graph">',
        ),
        (
            STYLE,
            f"{STYLE}{OURS}",
        ),
    ],
    "graphdisplay.js": [
        # Of a benchmark with contenders all are shown, at its first work. By itself asv
        # shows eight lines of one contender, and StandardScaler in none.
        (
            "j < param_values.length && (j+1)*count <= max_curves;",
            CHOSEN,
        ),
        (
            '$("#title").text(bm_name);',
            '$("#title").text(bm_name);\n        $.asv.show_direction(bm_name);',
        ),
    ],
}


def dress(html: Path) -> None:
    """Change published pages, which lie in a folder beside the start page.

    Raises
    ------
    HarnessError
        asv's pages do not hold what is to be changed.
    """
    for name, changes in CHANGES.items():
        page = html / name
        text = page.read_text(encoding="utf-8")
        for old, new in changes:
            text = text if new in text else replaced(text, old, new, name)
        page.write_text(text, encoding="utf-8")
    script = html / "asv.js"
    text = script.read_text(encoding="utf-8")
    start = text.find("var colors = [")
    end = text.find("];", start) + 2
    if start < 0:
        raise changed("var colors", "asv.js")
    script.write_text(text[:start] + COLOURS + text[end:], encoding="utf-8")
    for template in ("dressed.css", "directions.js"):
        content = (TEMPLATES / template).read_text(encoding="utf-8")
        content = content.replace("BASELINE", BASELINE)
        (html / template).write_text(content, encoding="utf-8")


def replaced(text: str, old: str, new: str, name: str) -> str:
    if text.count(old) != 1:
        raise changed(old, name)
    return text.replace(old, new)


def changed(old: str, name: str) -> HarnessError:
    return HarnessError(f"asv {version('asv')} has no {old.strip()!r} in its {name}")
