import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from skbn.streams import formats
from skbn.streams.formats import Parquet


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("groups") / "x.parquet"


def write(path, groups):
    table = pa.table({"x": range(sum(groups)), "y": range(sum(groups))})
    with pq.ParquetWriter(path, table.schema) as writer:
        start = 0
        for n in groups:
            writer.write_table(table.slice(start, n))
            start += n


@given(
    groups=st.lists(st.integers(1, 40), min_size=1, max_size=9),
    size=st.integers(1, 50),
    most=st.integers(2, 100),
    data=st.data(),
)
@examples(60)
def test_row_groups_are_read_from_any_row_on(path, groups, size, most, data):
    write(path, groups)
    start = data.draw(st.integers(0, sum(groups)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "PIECE_VALUES", most)
        file = Parquet(path)
        found = list(file.read(["y"], size, start))
        longest = file.rows_of_pieces(size, 1)

    rows = [row for _, piece in found for row in piece["y"].to_pylist()]
    assert rows == list(range(rows[0] if rows else sum(groups), sum(groups)))
    assert not rows or rows[0] <= start
    assert [row for row, _ in found] == [piece["y"][0].as_py() for _, piece in found]
    assert all(piece.num_rows <= max(size, most) for _, piece in found)
    assert size <= longest <= max(size, most)


@pytest.mark.parametrize(
    ("groups", "size", "pieces"),
    [
        ([100, 100, 30], 40, [100, 100, 30]),
        ([130, 10], 40, [65, 65, 10]),  # equal parts of 120 or fewer
        ([9] * 10, 40, [36, 36, 18]),
        ([100, 100], 150, [100, 100]),
        ([150, 60], 150, [150, 60]),
    ],
)
def test_pieces_of_row_groups(path, groups, size, pieces, monkeypatch):
    monkeypatch.setattr(formats, "PIECE_VALUES", 240)
    write(path, groups)
    found = Parquet(path).read(["x", "y"], size, 0)
    assert [piece.num_rows for _, piece in found] == pieces
