"""How contenders and the two themes look."""

from dataclasses import dataclass
from itertools import cycle


@dataclass(frozen=True)
class Theme:
    """Colours of a page and of its plots."""

    name: str
    page: str
    text: str
    faint: str
    grid: str


LIGHT = Theme("light", page="#ffffff", text="#1b1f24", faint="#59636e", grid="#d8dee4")
DARK = Theme("dark", page="#0f1419", text="#e6edf3", faint="#9da7b1", grid="#343d47")
THEMES = [LIGHT, DARK]


@dataclass(frozen=True)
class Look:
    """A contender's colours, marker and line.

    Colours follow Okabe and Ito's, which most colour-blind people can tell apart, with
    at least three times the contrast to the page; markers differ for all others.
    """

    light: str
    dark: str
    marker: str
    line: str | tuple[int, tuple[int, ...]] = "-"

    def colour(self, theme: Theme) -> str:
        return self.dark if theme.name == "dark" else self.light


LOOKS = {
    "skbn-numba": Look("#0068a6", "#4db5ff", "o"),
    "skbn-numpy": Look("#00805d", "#2dd4a4", "s", "--"),
    "skbn-auto": Look("#b3003c", "#ff6b95", "p", (0, (7, 1, 1, 1))),
    "StandardScaler": Look("#59636e", "#b4bec8", "D", ":"),
    "oneDAL": Look("#c24e00", "#ff8a3d", "^", "-."),
    "polars": Look("#b0568a", "#e59ac5", "v", (0, (5, 1))),
    "torch": Look("#a06a00", "#f0b429", "P", (0, (3, 1, 1, 1))),
    "River": Look("#1f87c2", "#8fd3fa", "X", (0, (1, 1))),
    "dask-ml": Look("#7a7000", "#d9cf4a", "<", (0, (5, 5))),
    "ondil": Look("#7b3fa0", "#c792ea", "*", (0, (3, 5, 1, 5))),
}
# For contenders that someone adds: markers that none of the above has.
OTHERS = [
    Look("#1b1f24", "#e6edf3", "h", (0, (1, 3))),
    Look("#a40e26", "#ff8080", ">", (0, (4, 2, 1, 2, 1, 2))),
    Look("#4a5a00", "#b8d432", "d", (0, (8, 2))),
    Look("#00707a", "#45d0dc", "H", (0, (2, 2))),
]


def looks(contenders: list[str]) -> dict[str, Look]:
    """A look for each contender, in the order in which legends list them."""
    spare = cycle(OTHERS)
    unknown = [name for name in contenders if name not in LOOKS]
    known = [name for name in LOOKS if name in contenders]
    return {name: LOOKS[name] for name in known} | {
        name: next(spare) for name in dict.fromkeys(unknown)
    }
