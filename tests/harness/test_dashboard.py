"""The dashboards: what is vendored, what the start page says and what it leaves out."""

import hashlib
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import asv_toys
import pytest

from benchmarks.dashboard import (
    asv_pages,
    canvas,
    commands,
    page,
    picture,
    publish,
    vendor,
    vendoring,
)
from benchmarks.dashboard.packages import PACKAGES, SOURCES
from benchmarks.dashboard.records import History, Point, read_history
from benchmarks.dashboard.style import LOOKS
from benchmarks.errors import HarnessError
from benchmarks.measure import Summary
from benchmarks.record import MEANINGLESS, Figure, Record, read

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "benchmarks" / "dashboard").glob("*.py"))


@pytest.fixture
def fresh(tmp_path):
    """asv's page as it is published, before anything is vendored."""
    asv = pytest.importorskip("asv")
    html = tmp_path / "html"
    html.mkdir()
    source = Path(asv.__file__).parent / "www" / "index.html"
    (html / "index.html").write_bytes(source.read_bytes())
    return html


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# Loading without the packages


def test_modules_load_without_the_packages_they_use():
    names = [f"benchmarks.dashboard.{path.stem}" for path in MODULES]
    code = f"""
import importlib, sys
for name in ("asv", "jinja2", "matplotlib", "typer", "rich"):
    sys.modules[name] = None
for name in {[*names, "benchmarks.guard"]}:
    importlib.import_module(name.removesuffix(".__init__"))
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_asv_takes_nothing_in_them_for_a_benchmark():
    pattern = re.compile(
        r"^(?:def|class) (?:(?:time|timeraw|track|mem|peakmem)_|"
        r"(?:Time|Timeraw|Track|Mem|PeakMem)[A-Z_])",
        re.MULTILINE,
    )
    for path in (*MODULES, *(ROOT / "benchmarks").glob("guard*.py")):
        found = pattern.findall(path.read_text(encoding="utf-8"))
        assert not found, path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 300


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (publish, ["--config", "--site", "--quick", "--machine", "--cache"]),
        (vendor, ["--html", "--cache"]),
    ],
)
def test_typer_makes_commands_of_them(command, options):
    typer = pytest.importorskip("typer")
    from typer.testing import CliRunner

    app = typer.Typer()
    app.command()(command)
    plain_text = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    shown = CliRunner().invoke(app, ["--help"], env=plain_text)

    assert shown.exit_code == 0
    assert all(option in shown.stdout for option in options)


def test_a_package_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "asv.config", raising=False)
    monkeypatch.setitem(sys.modules, "asv", None)
    with pytest.raises(SystemExit, match="the dashboards need asv"):
        publish(tmp_path / "asv.conf.json")


# Vendoring


def test_every_file_that_asv_loads_is_pinned(fresh):
    loaded = set(vendoring.loaded(fresh / "index.html"))

    assert loaded == SOURCES.keys()
    assert len(loaded) == 10


def test_nothing_is_loaded_from_elsewhere(site):
    pages, images = list(site.rglob("*.html")), list(site.glob("*.svg"))
    assert {site / "index.html", site / "asv" / "index.html"} <= set(pages)
    assert len(images) == 16
    for html in pages:
        assert list(vendoring.loaded(html)) == []
    for image in images:
        text = image.read_text(encoding="utf-8")
        assert not re.findall(r'(?:href|src)="(?!#)[^"]*', text)


def test_files_stand_where_pages_look_for_them(site):
    index = (site / "asv" / "index.html").read_text(encoding="utf-8")
    local = re.findall(r'(?:src|href)="(vendor/[^"]+)"', index)

    assert len(local) == len(SOURCES)
    assert all((site / "asv" / path).is_file() for path in local)
    assert "integrity" not in index
    assert "crossorigin" not in index


def test_what_the_content_networks_have_is_the_same(fresh, site):
    """Where both publish the same file; those of flot and stupidtable differ."""
    guards = re.findall(
        r'="(https://[^"]+)" integrity="sha(256|512)-([^"]+)"',
        (fresh / "index.html").read_text(encoding="utf-8"),
    )
    same = set()
    for url, size, expected in guards:
        package, path = SOURCES[url]
        content = (site / "asv" / "vendor" / package.folder / path).read_bytes()
        found = vendoring.digest(content, f"sha{size}")
        if found == expected:
            same.add(package.name)

    assert same == {"jquery", "flot-orderbars", "blueimp-md5", "bootstrap"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_licences_are_kept(site, package):
    licence = site / "asv" / "vendor" / package.folder / package.licence
    assert "MIT" in licence.read_text(encoding="utf-8") or "Permission is hereby" in (
        licence.read_text(encoding="utf-8")
    )


def test_vendoring_again_changes_nothing(site, monkeypatch):
    before = digests(site / "asv")
    # Neither npm nor a cache is needed.
    monkeypatch.setattr(vendoring.shutil, "which", lambda _: None)
    vendor(site / "asv")

    assert digests(site / "asv") == before


def test_archives_of_other_contents_are_refused(fresh, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    for package in PACKAGES:
        (cache / f"{package.folder}.tgz").write_bytes(b"something else")
    before = digests(fresh)

    with pytest.raises(
        SystemExit, match=re.escape("jquery-3.3.1.tgz is not what was published")
    ):
        vendor(fresh, cache)

    assert digests(fresh) == before
    assert not (cache / "jquery-3.3.1.tgz").exists()


def test_without_npm_the_error_names_it(fresh, monkeypatch):
    monkeypatch.setattr(vendoring.shutil, "which", lambda _: None)
    with pytest.raises(
        SystemExit, match=re.escape("npm is needed to download jquery@3.3.1")
    ):
        vendor(fresh)


def test_without_a_registry_there_is_one_error(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(
        SystemExit, match=re.escape("npm could not download jquery@3.3.1")
    ) as error:
        vendor(fresh)

    assert "ECONNREFUSED" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_page_with_an_unknown_file_is_refused(fresh):
    index = fresh / "index.html"
    unknown = '<script src="//example.org/new.js"></script>'
    index.write_text(index.read_text("utf-8") + unknown, encoding="utf-8")
    with pytest.raises(
        SystemExit, match=re.escape("no package is pinned for //example.org/new.js")
    ):
        vendor(fresh)


@pytest.mark.parametrize(
    "style", ["@import 'https://example.org/a.css';", "a { b: url(//example.org/c) }"]
)
def test_a_style_sheet_that_loads_more_is_refused(tmp_path, style):
    (tmp_path / "index.html").write_text("<p>", encoding="utf-8")
    (tmp_path / "a.css").write_text(style, encoding="utf-8")
    with pytest.raises(
        SystemExit, match=re.escape("still loaded from elsewhere: a.css")
    ):
        vendor(tmp_path)


def test_a_folder_without_pages_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="run asv publish first"):
        vendor(tmp_path)


# The start page


@pytest.fixture
def shown(site):
    return (site / "index.html").read_text(encoding="utf-8")


def test_the_table_holds_every_figure(shown):
    assert shown.count('<th scope="rowgroup"') == len(asv_toys.WORKLOADS)
    cells = len(asv_toys.WORKLOADS) * len(asv_toys.CONTENDERS)
    figures = shown[shown.index('id="figures"') :]
    assert figures.count('<th scope="row">') == cells
    for text in ("21.7 ms", "22 ×", "20 \N{EN DASH} 24", "77%", "rows one by one"):
        assert text in figures


def test_every_picture_is_described_and_there(site, shown):
    described = re.findall(r'<img src="([^"]+)" alt="([^"]+)"', shown)
    files = re.findall(r'srcset="([^"]+)"', shown) + [name for name, _ in described]

    assert len(described) == 4
    assert len(files) == len(set(files)) == 16
    assert all((site / name).is_file() for name in files)
    assert "skbn-numba fit 22 × (22, 1 workload)" in described[0][1]
    assert "StandardScaler 2.6 digits or more" in described[2][1]
    assert "at fit, 400,000 × 100 from 11 × to 22 ×" in described[3][1]


def test_it_leads_to_asv_and_back(site, shown):
    assert 'href="asv/index.html"' in shown
    index = (site / "asv" / "index.html").read_text(encoding="utf-8")
    assert index.count('<a href="../index.html">Start page</a>') == 1


def test_asv_has_a_colour_for_every_contender(site):
    script = (site / "asv" / "asv.js").read_text(encoding="utf-8")
    colours = json.loads(re.search(r"var colors = (\[[^\]]*\]);", script)[1])
    assert len(set(colours)) == len(LOOKS)


def test_asv_pages_that_changed_are_told_of(site, tmp_path):
    """What is replaced in them is not there any more."""
    for name in (*asv_pages.CHANGES, "asv.js"):
        (tmp_path / name).write_text((site / "asv" / name).read_text("utf-8"), "utf-8")
    asv_pages.dress(tmp_path)  # A second time, which changes nothing.
    assert digests(tmp_path).items() <= {
        tmp_path / path.name: found for path, found in digests(site / "asv").items()
    }.items() | {(p, d) for p, d in digests(tmp_path).items() if p.suffix == ".css"}
    (tmp_path / "graphdisplay.js").write_text("something else")
    with pytest.raises(HarnessError, match=r"asv .* has no .* in its graphdisplay\.js"):
        asv_pages.dress(tmp_path)


def test_the_headlines_are_of_what_is_alike(shown):
    table = shown[shown.index('<table class="summary">') :].partition("</table>")[0]
    heads = re.findall(r'<th scope="col">([^<]+)', table)
    assert heads == ["Contender", "fit", "partial_fit", "transform"]
    numba = re.search(r"skbn-numba</th>(.*?)</tr>", table)[1]
    assert re.findall(r"<td>([^<]+)<", numba) == ["22 ×", "6.8 ×", "3.0 ×"]


def test_who_validates_less_is_marked(shown):
    assert "River* takes what scikit-learn refuses: infinity." in shown
    assert '<th scope="row">River*' in shown


@pytest.mark.usefixtures("base")
def test_every_picture_says_where_it_comes_from(tmp_path):
    """In letters, where they are kept; here as text, since plots draw them as paths."""
    import matplotlib as mpl

    footers = []
    record = Record([*asv_toys.quick_rows()], "fast", "abcdef0123", DAY, {"cpu": "A"})
    with mpl.rc_context({"svg.fonttype": "none"}):
        picture(record, tmp_path / "a.svg")
    words = (tmp_path / "a.svg").read_text("utf-8")
    assert "profile fast · A · commit abcdef01 · 2026-01-07" in words
    assert MEANINGLESS in words
    assert "faster →" in words
    history = History({"c" * 40: DAY}, [TRACKED, EXACT], {"cpu": "B"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canvas, "save", lambda *given: footers.append(given[3]) or {})
        page.draw_all(tmp_path, record, history)
    now, then = footers[:2], footers[2:]
    assert len(then) == 2
    assert all("2026-01-07" in each[-1] for each in footers)
    assert all("fast" in each[-1] and MEANINGLESS in each[0] for each in now)
    assert all("B · commit cccccccc" in each[0] for each in then)


DAY = datetime(2026, 1, 7, tzinfo=UTC)
ONE = Summary(1.0, 1.0, 1.0)
TRACKED = Point("c" * 40, "a.track_ratio", {"work": "w", "contender": "mine"}, ONE)
EXACT = Point("c" * 40, "a.track_digits", {"offset": "1e3", "contender": "mine"}, ONE)


@pytest.mark.usefixtures("base")
def test_warnings_stand_beside_every_table_and_picture(tmp_path):
    record = Record([*asv_toys.quick_rows()], "fast", date=DAY)
    text = page.write_page(tmp_path, "toy", record, History()).read_text("utf-8")
    for part in ("speed", "share", "figures"):
        section = text[text.index(f'<h2 id="{part}">') :].partition("</section>")[0]
        assert MEANINGLESS in section


@pytest.mark.usefixtures("base")
def test_two_profiles_are_not_shown_on_one_page(monkeypatch):
    history = History({"c" * 40: DAY}, [TRACKED])
    monkeypatch.setattr(History, "profile", "regular")
    commands.refuse_two_profiles(Record(profile="regular"), history)
    with pytest.raises(HarnessError, match="a page shows one"):
        commands.refuse_two_profiles(Record(profile="fast"), history)


@pytest.mark.usefixtures("base")
def test_what_is_missing_is_said(tmp_path):
    written = page.write_page(tmp_path, "toy", Record(), History())
    text = written.read_text(encoding="utf-8")

    assert all(sentence in text for sentence in page.MISSING.values())
    assert "<img" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


@pytest.mark.usefixtures("base")
def test_plots_come_one_by_one(tmp_path):
    """Without a history, or without shares, the others are drawn."""
    rows = [
        Figure("fit", "fit", "mine", 1.0, share_of_limit=None),
        Figure("fit", "fit", "ondil", 2.0),
    ]
    points = [
        Point("c" * 40, "a.track_digits", {"offset": "1e3"}, Summary(9.0, 9.0, 9.0))
    ]
    history = History({"c" * 40: datetime(2026, 1, 1, tzinfo=UTC)}, points)
    text = page.write_page(tmp_path, "toy", Record(rows), history).read_text("utf-8")

    assert text.count("<img") == 1
    assert "accuracy-wide-light.svg" in text
    assert "mine" in text


@pytest.mark.usefixtures("base")
def test_many_workloads_stand_in_two_columns(tmp_path):
    """What the quick run measures: long names, contenders in some rows only."""
    ratio = Summary(2.0, 1.9, 2.2)
    rows = [
        Figure(f"workload {number} of many", "fit", name, 1.0, None, ratio, 2.5)
        for number in range(21)
        for name in asv_toys.CONTENDERS[number % 3 : 7]
    ]
    rows.append(Figure("memory of fit", "memory", "mine", bytes=303_104))
    text = page.write_page(tmp_path, "toy", Record(rows), History()).read_text("utf-8")

    assert "<summary><h3>fit</h3> 21 workloads</summary>" in text
    assert "0.3 MiB" in text
    (width,) = re.findall(
        r'<svg[^>]*? width="([\d.]+)pt"', (tmp_path / "speed-wide-dark.svg").read_text()
    )
    assert float(width) == pytest.approx(72 * canvas.WIDE, rel=0.01)


@pytest.mark.usefixtures("base")
def test_names_are_escaped(tmp_path):
    rows = [Figure("<b>fit</b>", "a&b", "<i>", 1.0)]
    text = page.write_page(tmp_path, "<toy>", Record(rows), History())

    assert not re.findall(r"<(toy|b|i)>", text.read_text(encoding="utf-8"))


def test_the_same_figures_give_the_same_files(site, base, tmp_path):
    quick = read(base / "quick.json")
    history = read_history(asv_toys.measured_repository(base) / ".asv" / "results")
    page.write_page(tmp_path, "toy", quick, history)

    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(written) == 17
    for name, content in written.items():
        assert content == (site / name).read_bytes()


@pytest.mark.usefixtures("base")
def test_publishing_without_results_is_one_error(tmp_path):
    repository = asv_toys.make_repository(tmp_path / "repository")
    with pytest.raises(SystemExit, match="holds no results of asv"):
        publish(repository / "asv.conf.json", tmp_path / "site")
    with pytest.raises(SystemExit, match="there is no file"):
        publish(tmp_path / "asv.conf.json", tmp_path / "site")


@pytest.mark.usefixtures("base")
def test_what_asv_says_when_it_fails_is_shown(tmp_path):
    repository = asv_toys.make_repository(tmp_path / "toy", branches=["no-such-branch"])
    asv_toys.add_results(repository, *asv_toys.commit(repository, "A commit"), 0)
    with pytest.raises(SystemExit, match="no-such-branch"):
        publish(repository / "asv.conf.json", tmp_path / "site")
    assert set(asv_toys.NEEDS) > commands.PACKAGES
