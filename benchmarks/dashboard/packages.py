"""The files that asv's page loads from content networks, as packages have them.

Addresses are those of asv 0.6.6. flot has no minified files; its others are the same
code. Of stupidtable the registry has this release only.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """A release in the npm registry."""

    name: str
    version: str
    sha512: str  # of the archive, in base64, as the registry publishes it
    licence: str = "LICENSE.txt"
    also: tuple[str, ...] = ()  # files that others refer to by relative paths

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.version}"


JQUERY = Package(
    "jquery",
    "3.3.1",
    "Ubldcmxp5np52/ENotGxlLe6aGMvmF4R8S6tZjsP6Knsaxd/xp3Zrh50cG93lR6nPXyUFwzN3ZSOQI0w"
    "RJNdGg==",
)
FLOT = Package(
    "flot",
    "0.8.3",
    "xg2otcTJDvS+ERK+my4wxG/ASq90QURXtoM4LhacCq0jQW2jbyjdttbRNqU2cPykrpMvJ6b2uSp6SAgY"
    "Azj9tQ==",
)
ORDER_BARS = Package(
    "flot-orderbars",
    "1.0.0",
    "Jv51fvzevUjNXEeozpwEKfPjhiZhfiJddv0WHjduUTCmSF+7T5K7C9c9Y1wIVmUhDBv5fLMjgbwKecT0"
    "GIKPZA==",
    # It has no other file that states its licence, MIT.
    licence="package.json",
)
STUPID_TABLE = Package(
    "stupid-table-plugin",
    "1.1.3",
    "2Vk7XouQPxUQPRe9w0Fu7ZZ8kHLK7rDoLMsCgtKxRNJ7f4dSOGvW9CkHsq5wD6QsaEnWoyLBYH3xOEsr"
    "K3yWBg==",
    licence="LICENSE",
)
MD5 = Package(
    "blueimp-md5",
    "2.19.0",
    "DRQrD6gJyy8FbiE4s+bDoXS9hiW3Vbx5uCdwvcCf3zLHL+Iv7LtGHLpr+GZV8rHG8tK766FGYBwRbu8p"
    "ELTt+w==",
)
BOOTSTRAP = Package(
    "bootstrap",
    "3.1.1",
    "TAzqS8E/ISpVHP29gYhy+1NSV+FJwApDVQhDfgLYsIuUDJiqJzH2DfORN5tiu+Ie2iBLrzEG34t4Rf46"
    "5cigqg==",
    licence="LICENSE",
    also=tuple(
        f"dist/fonts/glyphicons-halflings-regular.{kind}"
        for kind in ("eot", "svg", "ttf", "woff")
    ),
)

CLOUDFLARE = "https://cdnjs.cloudflare.com/ajax/libs"
JSDELIVR = "https://cdn.jsdelivr.net/npm"

SOURCES: dict[str, tuple[Package, str]] = {
    "https://code.jquery.com/jquery-3.3.1.min.js": (JQUERY, "dist/jquery.min.js"),
    **{
        f"{CLOUDFLARE}/flot/0.8.3/jquery.{name}.min.js": (FLOT, f"jquery.{name}.js")
        for name in ("flot", "flot.time", "flot.selection", "flot.categories")
    },
    f"{JSDELIVR}/flot-orderbars@1.0.0/js/jquery.flot.orderBars.js": (
        ORDER_BARS,
        "js/jquery.flot.orderBars.js",
    ),
    f"{CLOUDFLARE}/stupidtable/1.0.1/stupidtable.min.js": (
        STUPID_TABLE,
        "stupidtable.min.js",
    ),
    f"{CLOUDFLARE}/blueimp-md5/2.19.0/js/md5.min.js": (MD5, "js/md5.min.js"),
    **{
        f"{JSDELIVR}/bootstrap@3.1.1/dist/{path}": (BOOTSTRAP, f"dist/{path}")
        for path in ("js/bootstrap.min.js", "css/bootstrap.min.css")
    },
}
PACKAGES = list(dict.fromkeys(package for package, _ in SOURCES.values()))
