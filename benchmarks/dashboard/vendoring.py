"""Make asv's published pages work without a network."""

import base64
import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.dashboard.packages import PACKAGES, SOURCES, Package
from benchmarks.errors import HarnessError

FOLDER = "vendor"
ADDRESS = r"""["'](?P<url>(?:https?:)?//[^"']+)["']"""
# Elements that load what they refer to; a link in an <a> loads nothing by itself.
LOADING = re.compile(
    rf"<(?:script|img|iframe|source|video|audio)\b[^>]*?\bsrc\s*=\s*{ADDRESS}[^>]*>"
    rf"|<link\b[^>]*?\bhref\s*=\s*{ADDRESS.replace('url', 'link')}[^>]*>",
    re.IGNORECASE,
)
# They guard against a content network; files from elsewhere have other bytes.
GUARDS = re.compile(r"""\s(?:integrity|crossorigin|referrerpolicy)=["'][^"']*["']""")
IN_STYLES = re.compile(
    r"""(?:url\(\s*|@import\s+)["']?(?P<url>(?:https?:)?//[^"')\s]+)""", re.IGNORECASE
)


def vendor_files(html: Path, cache: Path | None = None) -> list[Path]:
    """Put what the pages in `html` load from content networks beside them.

    Parameters
    ----------
    html : Path
        The folder that ``asv publish`` wrote.
    cache : Path, optional
        A folder to keep downloaded archives in.

    Returns
    -------
    list of Path
        The files that were added; empty if there was nothing left to do.

    Raises
    ------
    HarnessError
        If there is no such folder, if a page loads something for which no package is
        pinned, or if a package cannot be had or has other contents than it should.
    """
    if not (html / "index.html").is_file():
        raise HarnessError(f"{html} has no index.html; run asv publish first")
    wanted = {url for page in pages(html) for url in loaded(page)}
    unknown = sorted(wanted - SOURCES.keys())
    if unknown:
        raise HarnessError(f"no package is pinned for {', '.join(unknown)}")
    needed = [package for package in PACKAGES if of_package(package, wanted)]
    with tempfile.TemporaryDirectory() as folder:
        archives = fetch(needed, cache or Path(folder))
        added = [
            path
            for package in needed
            for path in unpack(package, archives[package], html, wanted)
        ]
    for page in pages(html):
        rewrite(page)
    check_local(html)
    return added


def pages(html: Path) -> list[Path]:
    return sorted(html.glob("*.html"))


def loaded(page: Path) -> Iterator[str]:
    """Remote addresses that a page loads."""
    for match in LOADING.finditer(page.read_text(encoding="utf-8")):
        yield match["url"] or match["link"]


def of_package(package: Package, urls: set[str]) -> list[str]:
    return [path for url in urls for owner, path in [SOURCES[url]] if owner == package]


def fetch(packages: list[Package], folder: Path) -> dict[Package, Path]:
    """Archives of packages, downloaded where they are not in the folder yet."""
    archives = {package: folder / f"{package.folder}.tgz" for package in packages}
    missing = [package for package, path in archives.items() if not path.is_file()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        download(missing, folder)
    for package, path in archives.items():
        check(package, path)
    return archives


def download(packages: list[Package], folder: Path) -> None:
    """Let npm download archives from the registry that the machine is set up for."""
    names = [f"{package.name}@{package.version}" for package in packages]
    npm = shutil.which("npm")
    if npm is None:
        raise HarnessError(f"npm is needed to download {', '.join(names)}")
    # npm has a cache of its own, and what it holds is what was published.
    options = ["--prefer-offline", "--pack-destination", str(folder.resolve())]
    command = [npm, "pack", *options, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        raise HarnessError(
            f"npm could not download {', '.join(names)}: {' '.join(errors[:3])}"
        )


def check(package: Package, archive: Path) -> None:
    if not archive.is_file():
        raise HarnessError(f"npm did not write {archive.name}")
    found = digest(archive.read_bytes(), "sha512")
    if found != package.sha512:
        archive.unlink()
        raise HarnessError(
            f"{archive.name} is not what was published: its SHA-512 is {found}, "
            f"not {package.sha512}"
        )


def digest(content: bytes, algorithm: str) -> str:
    """A digest in base64, as registries and pages write it."""
    return base64.b64encode(hashlib.new(algorithm, content).digest()).decode()


def unpack(package: Package, archive: Path, html: Path, urls: set[str]) -> list[Path]:
    """Copy what is needed of a package, its licence included."""
    members = {*of_package(package, urls), *package.also, package.licence}
    added = []
    with tarfile.open(archive) as tar:
        for member in sorted(members):
            source = tar.extractfile(f"package/{member}")
            assert source is not None, "the archive's contents are pinned"
            target = html / FOLDER / package.folder / member
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read())
            added.append(target)
    return added


def rewrite(page: Path) -> None:
    """Point what a page loads to the files beside it."""

    def local(match: re.Match[str]) -> str:
        url = match["url"] or match["link"]
        package, path = SOURCES[url]
        here = f"{FOLDER}/{package.folder}/{path}"
        return GUARDS.sub("", match[0].replace(url, here))

    text = page.read_text(encoding="utf-8")
    page.write_text(LOADING.sub(local, text), encoding="utf-8")


def check_local(html: Path) -> None:
    """Raise if a page or a style sheet still loads something from elsewhere."""
    remote = [f"{page.name}: {url}" for page in pages(html) for url in loaded(page)]
    for sheet in (*html.rglob("*.css"), *pages(html)):
        text = sheet.read_text(encoding="utf-8")
        remote += [f"{sheet.name}: {m['url']}" for m in IN_STYLES.finditer(text)]
    if remote:
        raise HarnessError(f"still loaded from elsewhere: {', '.join(remote)}")
