"""Small changes to asv's pages: a way back, and colours that can be told apart."""

import json
import re
from pathlib import Path

from benchmarks.dashboard.style import LOOKS

BAR = '<ul class="nav navbar-nav navbar-left">'
BACK = '<li><a href="../index.html">Start page</a></li>'
COLOURS = re.compile(r"var colors = \[[^\]]*\];")


def dress(html: Path) -> None:
    """Change published pages, which lie in a folder beside the start page."""
    index = html / "index.html"
    text = index.read_text(encoding="utf-8")
    if BACK not in text:
        text = text.replace(BAR, f"{BAR}\n        {BACK}", 1)
        index.write_text(text, encoding="utf-8")
    script = html / "asv.js"
    # asv has seven colours, fewer than there are contenders.
    ours = f"var colors = {json.dumps([look.light for look in LOOKS.values()])};"
    text = COLOURS.sub(ours, script.read_text(encoding="utf-8"))
    script.write_text(text, encoding="utf-8")
