"""States that are saved come back to the bit, and nothing else is taken for one."""

import copy
import gzip
import json
import math
import tracemalloc
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from averages import AVERAGES, normal, streamed
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sklearn.preprocessing import StandardScaler
from strategies import examples, streams

import skbn
from skbn import BatchNormTransformer, state
from skbn.averaging import Cumulative, HalfLife, Momentum
from skbn.moments import Moments
from skbn.running import Running
from skbn.state import from_document, schema, to_document
from skbn.transformer import FITTED as ATTRIBUTES

SAMPLES = Path(__file__).parent / "states"
VALIDATOR = Draft202012Validator(schema())
BY_NAME = pytest.mark.parametrize("parameters", AVERAGES.values(), ids=AVERAGES)


def bits(transformer):
    """All that a transformer is, with the bits of every float."""
    running = vars(transformer)["_running"]
    moments = running.moments
    numbers = [
        *(running.seen, moments.weight, moments.values, [running.decay_steps]),
        *([transformer.mean_], [transformer.var_], [transformer.scale_]),
    ]
    names = getattr(transformer, "feature_names_in_", None)
    return (
        [
            (np.shape(part), np.asarray(part).tobytes())
            for each in numbers
            for part in each
        ],
        (running.averaging, running.n_batches, running.weighted),
        (
            transformer.n_samples_seen_
            if np.ndim(transformer.n_samples_seen_) == 0
            else ()
        ),
        (transformer.n_features_in_, None if names is None else list(names)),
    )


def through_text(transformer):
    return from_document(json.loads(json.dumps(to_document(transformer))))


# Round trips


@examples(60)
@given(
    stream=streams(missing=True, powers=100),
    parameters=st.sampled_from([*AVERAGES.values()]),
)
def test_a_stream_goes_on_with_the_same_bits(stream, parameters):
    one = BatchNormTransformer(**parameters)
    for X, weights in stream.batches():
        other = through_text(one)
        one.partial_fit(X, sample_weight=weights)
        other.partial_fit(X, sample_weight=weights)
        assert bits(other) == bits(one)
    np.testing.assert_array_equal(other.transform(stream.X), one.transform(stream.X))


@examples(30)
@given(stream=streams(missing=True), parameters=st.sampled_from([*AVERAGES.values()]))
def test_documents_are_as_the_schema_says_and_do_not_change(stream, parameters):
    document = to_document(streamed(stream.batches(), **parameters))

    VALIDATOR.validate(document)
    assert to_document(from_document(document)) == document


@examples(60)
@given(
    stream=streams(missing=True, powers=290),
    parameters=st.sampled_from([*AVERAGES.values()]),
    weight=st.sampled_from([None, 1e-300, 1.0, 1e280]),
    engine=st.sampled_from(["numpy", "numba"]),
)
def test_what_has_left_the_range_is_loaded_as_it_is(stream, parameters, weight, engine):
    """Variances overflow, and means where the weights are so large."""
    one = BatchNormTransformer(**parameters, engine=engine)
    with np.errstate(all="ignore"):
        for X, weights in stream.batches():
            rows = np.ones(len(X)) if weights is None else weights
            one.partial_fit(X, sample_weight=None if weight is None else rows * weight)
        assert bits(through_text(one)) == bits(one)


@BY_NAME
def test_features_that_were_fitted_apart(parameters):
    """Blocks of one column, whose weights are laid out as one each."""
    array = pytest.importorskip("dask.array")
    for X in (normal(6, features=3), np.where(np.eye(6, 3), np.nan, normal(6, 3))):
        one = BatchNormTransformer(**parameters)
        one.fit(array.from_array(X, chunks=(2, 1)))
        other = through_text(one)
        assert bits(other.partial_fit(X)) == bits(one.partial_fit(X))


@pytest.mark.parametrize("parameters", [{}, {"halflife": 5.0}], ids=str)
@pytest.mark.parametrize("steps", [[1.0, 1.0], [[1.0], [1.0]], [[1.0, 1.0]] * 2])
def test_rows_age_all_features_alike(parameters, steps):
    document = to_document(BatchNormTransformer(**parameters).fit(normal(5)))
    document["fitted"]["decay_steps"] = steps
    with pytest.raises(ValueError, match=r"fitted.decay_steps: of shape .* not \(\)$"):
        from_document(document)


@BY_NAME
@pytest.mark.parametrize("name", ["scaler.json", "scaler.json.gz"])
def test_files(parameters, name, tmp_path):
    saved = streamed([(normal(5), None), (normal(3), [1, 0, 2.5])], **parameters)
    skbn.save(saved, tmp_path / name)
    loaded = skbn.load(str(tmp_path / name))

    assert bits(loaded) == bits(saved)
    assert loaded.get_params() == saved.get_params()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_not_fitted():
    loaded = through_text(BatchNormTransformer(batch_size=7, engine="numpy"))

    assert (
        loaded.get_params()
        == BatchNormTransformer(batch_size=7, engine="numpy").get_params()
    )
    assert not hasattr(loaded, "mean_")
    assert loaded.fit([[1.0]]).n_samples_seen_ == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gamma", 2),
        ("gamma", np.float32(0.1)),
        ("gamma", [1, 2.5]),
        ("beta", (0.1, -0.0)),
        ("beta", np.array([1.5, 0.1], dtype=np.float32)),
        ("beta", np.array([1.5, 0.1])),
        ("beta", np.array([True, False])),
        ("gamma", np.array(3, dtype=np.uint8)),
        ("gamma", np.array([2**64 - 1, 1], dtype=np.uint64)),
        ("clip", 3),
        ("clip", (-math.inf, 2.5)),
        ("clip", [0, math.inf]),
        ("ddof", np.int64(1)),
        ("with_mean", np.bool_(False)),
        ("epsilon", np.float64(1e-5)),
    ],
    ids=repr,
)
def test_parameters(name, value):
    fitted = BatchNormTransformer(**{name: value}).fit(normal(5))
    loaded = through_text(fitted)
    found = loaded.get_params()[name]

    assert np.asarray(found).tobytes() == np.asarray(value).tobytes() or (
        isinstance(value, np.generic) and found == value
    )
    assert isinstance(value, np.generic) or type(found) is type(value)
    np.testing.assert_array_equal(
        loaded.transform(normal(5)), fitted.transform(normal(5))
    )


@pytest.mark.parametrize(
    "name", ["momentum", "halflife", "ddof", "epsilon", "batch_size", "n_threads"]
)
def test_a_boolean_is_saved_as_the_number_that_it_is(name):
    fitted = BatchNormTransformer(**{name: True}).fit(normal(5))
    loaded = through_text(fitted)

    assert loaded.get_params()[name] == 1
    assert type(loaded.get_params()[name]) is int
    assert bits(loaded.partial_fit(normal(5))) == bits(fitted.partial_fit(normal(5)))


def test_a_tensor_among_the_parameters_comes_back_as_an_array():
    torch = pytest.importorskip("torch")
    given = BatchNormTransformer(gamma=torch.tensor([1.5, 2.0])).fit(normal(5))

    gamma = through_text(given).gamma
    assert (gamma.dtype, gamma.tolist()) == (np.float32, [1.5, 2.0])


@pytest.mark.parametrize("output", [None, "default", "pandas"])
def test_set_output(output):
    fitted = BatchNormTransformer().set_output(transform=output).fit(normal(5))
    Z = through_text(fitted).transform(normal(5))

    assert type(Z) is type(fitted.transform(normal(5)))


@pytest.mark.parametrize("names", [["a", "größe", '"[{\\'], ["x", "x", "\ud800"]])
def test_names_of_features(names, tmp_path):
    frame = pytest.importorskip("pandas").DataFrame(normal(4, features=3))
    frame.columns = pytest.importorskip("pandas").Index(names, dtype=object)
    fitted = BatchNormTransformer().fit(frame)
    skbn.save(fitted, tmp_path / "a.json")
    loaded = skbn.load(tmp_path / "a.json")

    assert loaded.get_feature_names_out().tolist() == names
    assert loaded.feature_names_in_.dtype == object
    loaded.partial_fit(frame)


def test_infinity_and_every_nan(tmp_path):
    fitted = BatchNormTransformer().fit([[1.7e308, 1.0], [-1.7e308, 2.0]])
    high = fitted._running.moments.variance[0]
    low = fitted._running.moments.variance[1]
    high.view(np.uint64)[1] = 0xFFF8_0000_0000_1234
    low[:] = np.nan, -0.0
    skbn.save(fitted, tmp_path / "a.json")

    written = json.loads((tmp_path / "a.json").read_text())["fitted"]["variance"]
    assert written["high"] == ["Infinity", "NaN:fff8000000001234"]
    assert written["low"] == ["NaN", -0.0]
    loaded = skbn.load(tmp_path / "a.json")._running.moments.variance
    assert [part.tobytes() for part in loaded] == [high.tobytes(), low.tobytes()]


def test_a_person_can_read_it(tmp_path):
    skbn.save(BatchNormTransformer().fit([[0.1], [0.2]]), tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()

    assert '    "n_features": 1,\n' in text
    assert '      "high": [0.15000000000000002],\n' in text
    assert len(text.splitlines()) < 80


def test_the_same_state_is_the_same_file(tmp_path):
    fitted = BatchNormTransformer().fit(normal(5))
    for name in ("a.json.gz", "b.json.gz"):
        skbn.save(fitted, tmp_path / name)
    assert (tmp_path / "a.json.gz").read_bytes() == (
        tmp_path / "b.json.gz"
    ).read_bytes()


def test_fitted_on_other_arrays_comes_back_for_all():
    torch = pytest.importorskip("torch")
    pytest.importorskip("array_api_strict")  # with what scikit-learn 1.6 needs for it
    from sklearn import config_context

    X = torch.tensor(normal(6), dtype=torch.float32)
    with config_context(array_api_dispatch=True):
        fitted = BatchNormTransformer().fit(X)
        document = to_document(fitted)
        loaded = from_document(document)
        assert document["fitted"]["arrays"] == "torch float64 cpu"
        assert type(loaded.mean_) is np.ndarray
        assert loaded.transform(X).equal(fitted.transform(X))
        assert loaded.partial_fit(X).n_samples_seen_ == 12


def test_statistics_and_parameters_may_be_of_two_averagings():
    fitted = BatchNormTransformer(momentum=0.1).fit(normal(5))
    fitted.set_params(momentum=0.5)
    loaded = through_text(fitted)

    assert bits(loaded) == bits(fitted)
    with pytest.raises(ValueError, match="averaging was changed"):
        loaded.partial_fit(normal(5))


def test_what_is_saved_is_left_alone():
    fitted = BatchNormTransformer(gamma=np.ones(2)).fit(normal(5))
    before = copy.deepcopy(vars(fitted))
    document = to_document(fitted)
    document["fitted"]["mean"]["high"][0] = 7.0
    document["parameters"]["gamma"]["values"][0] = 7.0

    assert bits(fitted) == bits(streamed([(normal(5), None)], gamma=np.ones(2)))
    assert before.keys() == vars(fitted).keys()
    assert fitted.gamma.tolist() == [1.0, 1.0]


def test_nothing_of_the_state_is_left_out():
    """What is added to a record must be added to its document, in a new version."""
    assert {field.name for field in fields(Running)} == {
        *("averaging", "moments", "decay_steps", "seen", "n_batches", "weighted")
    }
    assert {field.name for field in fields(Moments)} == {"weight", "values"}
    assert {
        f.name for kind in (Cumulative, HalfLife, Momentum) for f in fields(kind)
    } == {*schema()["$defs"]["averaging"]["properties"]}
    assert {*ATTRIBUTES} == {
        "n_features_in_",
        "feature_names_in_",
        "_running",
        "_space",
    }
    assert {*schema()["$defs"]["parameters"]["properties"]} == {
        *BatchNormTransformer().get_params()
    }


# Samples, kept for ever: what was saved once is loaded by all versions to come.


def hexes(transformer):
    """The bits of a state, in another way than they are saved."""
    running = transformer._running
    moments = running.moments
    named = {
        "seen": running.seen,
        "weight": moments.weight,
        "values": moments.values,
        "decay_steps": [running.decay_steps],
        "read": [transformer.mean_, transformer.var_, transformer.scale_],
    }
    return {
        name: [[float(x).hex() for x in np.ravel(part)] for part in parts]
        for name, parts in named.items()
    } | {"shapes": [np.shape(running.seen[0]), np.shape(moments.weight[0])]}


@pytest.mark.parametrize(
    "path", sorted(SAMPLES.glob("v*.json*")), ids=lambda path: path.name
)
def test_samples_are_loaded_to_the_same_bits(path):
    expected = json.loads((SAMPLES / "bits.json").read_text())[path.name]
    loaded = skbn.load(path)

    assert json.loads(json.dumps(hexes(loaded))) == expected
    document = json.loads(
        gzip.decompress(path.read_bytes())
        if path.suffix == ".gz"
        else path.read_bytes()
    )
    VALIDATOR.validate(document)
    del document["sha256"]
    assert to_document(loaded) | {"written_by": document["written_by"]} == document


def test_there_is_a_sample_of_every_averaging():
    found = {skbn.load(path).get_params()["momentum"] for path in SAMPLES.glob("v1*")}
    halflives = {skbn.load(path).halflife for path in SAMPLES.glob("v1*")}
    assert found == {None, 0.1}
    assert halflives == {None, 20.0}


# What cannot be saved


class Subclass(BatchNormTransformer):
    pass


@pytest.mark.parametrize("given", [Subclass(), StandardScaler(), None], ids=repr)
def test_the_class_itself_only(given, tmp_path):
    with pytest.raises(TypeError, match=type(given).__name__):
        skbn.save(given, tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("momentum", 2.0),
        ("momentum", Fraction(1, 10)),
        ("ddof", 10**30),
        ("gamma", np.array([1, "x"], dtype=object)),
        ("gamma", np.ones(2, dtype=np.longdouble)),
        ("gamma", [[1.0, 2.0]]),
        ("gamma", [1.0, 2.0, 3.0]),
        ("beta", np.ones((1, 2))),
        ("clip", (2, 1)),
        ("engine", 3),
    ],
    ids=repr,
)
def test_parameters_that_cannot_be_saved_are_named(name, value, tmp_path):
    fitted = BatchNormTransformer().fit(normal(5))
    setattr(fitted, name, value)
    (tmp_path / "a.json").write_text("before")
    with pytest.raises(ValueError, match=name):
        skbn.save(fitted, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == "before"


# What is not loaded

FITTED = BatchNormTransformer(momentum=0.1, gamma=np.ones(2, np.float32)).fit(normal(5))


def edited(*keys, value):
    """The document of FITTED with another value at a place; ... takes it away."""
    document = to_document(FITTED)
    part = document
    for key in keys[:-1]:
        part = part[key]
    if value is ...:
        del part[keys[-1]]
    else:
        part[keys[-1]] = value
    return document


EDITS = [
    (("format",), "something else", "'format'"),
    (("format",), ..., "'format'"),
    (("version",), 2, "version 2 of the format, this skbn reads 1"),
    (("version",), 0, "version"),
    (("version",), True, "version"),
    (("more",), 1, "'more' is unknown"),
    (("output",), "latex", "output: 'latex'"),
    (("sha256",), "0" * 64, "sha256"),
    (("sha256",), "0", "sha256"),
    (("parameters", "momentum"), ..., "parameters: the key 'momentum' is missing"),
    (("parameters", "momentum"), 2, "'momentum' parameter"),
    (("parameters", "halflife"), 3.0, "exclude each other"),
    (("parameters", "ddof"), -1, "'ddof' parameter"),
    (("parameters", "ddof"), 1.0, "parameters.ddof: 1.0 is not integer"),
    (("parameters", "copy"), 1, "parameters.copy"),
    (("parameters", "gamma"), [1.0, "x"], r"parameters.gamma\[1\]"),
    (("parameters", "gamma"), [1.0], "gamma must be a number or of shape"),
    (("parameters", "gamma", "kind"), "object", "parameters.gamma.kind: 'object'"),
    (("parameters", "gamma", "kind"), "int8", None),
    (("parameters", "gamma", "values"), [0.1, 1.0], "parameters.gamma: .* float32"),
    (("parameters", "gamma", "values"), [1e300, 1.0], "parameters.gamma: .* float32"),
    (("parameters", "clip"), {"kind": "tuple", "values": 1.0}, "clip=.* must be"),
    (("parameters", "clip"), [1.0, "NaN:7ff0000000000000"], "is not NaN"),
    (("fitted",), [], "fitted: a list of 0 is not null or object"),
    (("fitted", "n_features"), 10**12, r"shape \(2,\), not \(1000000000000,\)"),
    (
        ("fitted", "n_features"),
        10**5000,
        "fitted.n_features: an endless integer is too large",
    ),
    (("fitted", "n_features"), 0, "fitted.n_features: 0 is below 1"),
    (("fitted", "feature_names"), ["a"], "feature_names: 1, for 2 features"),
    (("fitted", "feature_names"), ["a", 1], r"fitted.feature_names\[1\]"),
    (("fitted", "averaging", "momentum"), 0, "is not above 0"),
    (("fitted", "averaging", "momentum"), 1.5, "is above 1"),
    (("fitted", "averaging", "halflife"), 2.0, "exclude each other"),
    (("fitted", "n_batches"), -1, "fitted.n_batches: -1 is below 0"),
    (("fitted", "n_batches"), 2**63, "fitted.n_batches"),
    (("fitted", "weighted"), None, "fitted.weighted"),
    (("fitted", "seen"), 5.0, "fitted.seen"),
    (("fitted", "seen", "high"), 5.5, "not whole numbers"),
    (("fitted", "seen", "high"), 1e300, "not whole numbers"),
    (("fitted", "seen", "high"), [5.0, 5.0], r"seen.low: of shape \(\), not \(2,\)"),
    (("fitted", "weight", "high"), -0.1, "fitted.weight.high: -0.1 is below 0"),
    (("fitted", "weight", "high"), [[0.1, -1.0]] * 2, r"weight.high\[0\]\[1\]: -1.0"),
    (("fitted", "weight", "high"), [0.1, 0.1, 0.1], r"shape \(3,\), not \(\) or"),
    (("fitted", "weight", "high"), [[0.1], [0.1, 0.2]], "different lengths"),
    (("fitted", "weight", "high"), "Infinity", "fitted.weight.high: 'Infinity'"),
    (("fitted", "weight", "high"), math.inf, "fitted.weight.high: inf"),
    (("fitted", "weight", "low"), 0.2, "fitted.weight: low is not what rounding"),
    (("fitted", "seen", "low"), -6.0, "fitted.seen: low is not what rounding"),
    (("fitted", "mean", "low"), [0.0, 1e-3], "fitted.mean: low is not"),
    (("fitted", "mean", "low"), ["NaN", 0.0], "fitted.mean: low is not"),
    (("fitted", "mean", "high"), [1.0, "Infinity"], "fitted.mean.high: not finite"),
    (("fitted", "mean", "high"), [1.0, "NaN"], "fitted.mean.high: not finite"),
    (("fitted", "variance", "low"), [0.0, "Infinity"], "fitted.variance: low is not"),
    (("fitted", "decay_steps"), [1.0, 1.0], r"decay_steps: of shape \(2,\)"),
    (("fitted", "decay_steps"), math.nan, "fitted.decay_steps: nan"),
    (("fitted", "decay_steps"), -1.0, "fitted.decay_steps"),
    (("fitted", "mean", "high"), [1.0, "nan"], r"fitted.mean.high\[1\]: 'nan'"),
    (("fitted", "mean", "high"), [1.0, math.nan], r"fitted.mean.high\[1\]: nan"),
    (("fitted", "mean", "high"), [1.0, None], r"fitted.mean.high\[1\]: None"),
    (("fitted", "mean", "high"), [1.0, True], r"fitted.mean.high\[1\]: True"),
    (("fitted", "mean", "high"), [1.0], r"mean.high: of shape \(1,\), not \(2,\)"),
    (("fitted", "mean", "low"), [[1.0], [2.0]], r"fitted.mean.low\[0\]"),
    (("fitted", "variance", "high"), [1.0, -1e-9], r"variance.high\[1\]: -1e-09"),
    (("fitted", "variance", "high"), [1.0, "inf"], r"fitted.variance.high\[1\]"),
    (("fitted", "variance", "high"), [1.0, "NaN:00"], r"fitted.variance.high\[1\]"),
]


@pytest.mark.parametrize(
    ("keys", "value", "problem"), EDITS, ids=[".".join(keys) for keys, *_ in EDITS]
)
def test_edited_documents_are_refused(keys, value, problem):
    document = edited(*keys, value=value)
    if problem is None:  # ones are ones of int8 as well
        assert from_document(document).gamma.dtype == np.int8
        return
    with pytest.raises(ValueError, match=problem):
        from_document(document)


@pytest.mark.parametrize("document", [None, 3, "x", [], {}, {1: 2}], ids=repr)
def test_other_things_are_no_documents(document):
    with pytest.raises(ValueError, match="not a state of skbn"):
        from_document(document)


TEXT = json.dumps(to_document(FITTED))


def number(text):
    """The text with something else for the first number."""
    return TEXT.replace('"momentum": 0.1', f'"momentum": {text}', 1)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not JSON"),
        (TEXT[:-1], "not JSON"),
        (TEXT + TEXT, "not JSON: Extra data"),
        (b"\xff\xfe", "not UTF-8"),
        (b"\x80\x04K\x01.", "not UTF-8"),
        (TEXT.replace("{", '{"version": 1, ', 1), "the key 'version' comes twice"),
        (number("NaN"), "NaN is not JSON"),
        (number("-Infinity"), "-Infinity is not JSON"),
        (number("1" * 100_000), "an integer of 100000 digits"),
        (number("1e999"), "1e999' is too large"),
        (number(f"1e{'9' * 100_000}"), "is too large"),
        (number("[" * 100_000), "nested deeper than 16"),
        (b"[" * 1_000_000, "nested deeper than 16"),
        (b'{"a":' * 100_000, "nested deeper than 16"),
        (f"[{'[],' * 20_000}[]]", "more than 10000 lists"),
        (f'"{"[" * 1000}"', "not a state of skbn"),
        (f'"{"[" * 1000}', "nested deeper than 16"),
        (rf'["\"{"[" * 1000}"]', "not a state of skbn"),
        (json.dumps({"format": state.FORMAT, "version": 99}), "install a newer one"),
    ],
)
def test_hostile_files_are_one_clear_error(content, problem, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=problem) as raised:
        skbn.load(path)

    assert str(raised.value).startswith(f"{path}: ")
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_no_beginning_of_a_file_is_loaded(name, tmp_path):
    skbn.save(FITTED, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    for length in {*range(0, len(content), 7), *range(len(content) - 20, len(content))}:
        (tmp_path / name).write_bytes(content[:length])
        with pytest.raises(ValueError, match=f"^{tmp_path / name}: "):
            skbn.load(tmp_path / name)


def test_every_number_is_watched_by_the_digest(tmp_path):
    skbn.save(FITTED, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(text.replace('"n_batches": 1', '"n_batches": 2'))
    with pytest.raises(ValueError, match="sha256: not that of the rest"):
        skbn.load(tmp_path / "a.json")

    changed = json.loads((tmp_path / "a.json").read_text())
    del changed["sha256"]
    (tmp_path / "a.json").write_text(json.dumps(changed))
    assert skbn.load(tmp_path / "a.json").n_batches_seen_ == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "gzip cannot unpack|not JSON"),
        (TEXT.encode(), "gzip cannot unpack"),
        (gzip.compress(TEXT.encode())[:-9], "gzip cannot unpack"),
        (gzip.compress(TEXT.encode())[:-1] + b"x", "gzip cannot unpack"),
        (gzip.compress(TEXT.encode())[:12] + b"x" * 40, "gzip cannot unpack"),
    ],
    ids=["empty", "not gzip", "truncated", "wrong length", "garbage"],
)
def test_broken_gzip_files(content, problem, tmp_path):
    (tmp_path / "a.json.gz").write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        skbn.load(tmp_path / "a.json.gz")


def test_memory_has_a_bound(tmp_path):
    """A bomb, a million lists, and a number of features without features."""
    with gzip.open(tmp_path / "bomb.json.gz", "wb") as file:
        for _ in range(40):
            file.write(b" " * 2**20)
    (tmp_path / "lists.json").write_text(f"[{'[],' * 1_000_000}[]]")
    many = edited("fitted", "n_features", value=10**12)
    (tmp_path / "many.json").write_text(json.dumps(many))
    tracemalloc.start()
    for path, problem in [
        ("bomb.json.gz", "max_bytes=1000000"),
        ("lists.json", "more than 1000000|lists and objects|max_bytes"),
        ("many.json", "shape"),
    ]:
        with pytest.raises(ValueError, match=problem):
            skbn.load(tmp_path / path, max_bytes=1_000_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


def test_nothing_endless_is_read():
    with pytest.raises(ValueError, match="longer than max_bytes"):
        skbn.load("/dev/zero", max_bytes=10_000)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.json"):
        skbn.load(tmp_path / "missing.json")


def test_what_is_loaded_late_is_there():
    assert {"load", "save"} <= {*dir(skbn)}
    with pytest.raises(AttributeError, match="unknown"):
        _ = skbn.unknown


# Any other document


@st.composite
def mutations(draw):
    """A document with a part cut out, put elsewhere, or replaced by anything."""
    document = json.loads(TEXT)
    for _ in range(draw(st.integers(1, 3))):
        part = document
        while True:
            keys = [*part] if isinstance(part, dict) else [*range(len(part))]
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if not isinstance(part[key], (dict, list)) or draw(st.booleans()):
                break
            part = part[key]
        if keys and draw(st.booleans()):
            part[key] = draw(ANYTHING)
        elif keys:
            del part[key]
    return document


LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "NaN:fff8000000000000", 10**400]),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.lists(parts, max_size=4),
        st.dictionaries(st.sampled_from(["kind", "values", "high", "low"]), parts),
    ),
    max_leaves=6,
)


@examples(150)
@given(document=mutations())
def test_mutated_documents_are_refused_or_whole(document):
    problem = None
    try:
        loaded = from_document(document)
    except ValueError as error:
        problem = str(error)
    if problem is not None:
        assert 0 < len(problem) < 500
        return
    VALIDATOR.validate(document)  # the package takes no more than the schema allows
    assert from_document(to_document(loaded)).get_params().keys()
    if hasattr(loaded, "mean_"):
        assert loaded.mean_ is None or loaded.mean_.shape == (2,)


@examples(200)
@given(data=st.data())
def test_mutated_bytes_are_refused(data, tmp_path_factory):
    content = bytearray(TEXT.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        stop = data.draw(st.integers(start, min(start + 9, len(content))))
        content[start:stop] = data.draw(st.binary(max_size=9))
    path = tmp_path_factory.getbasetemp() / "mutated.json"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    problem = None
    try:
        skbn.load(path)
    except ValueError as error:
        problem = str(error)
    assert problem is None or problem.startswith(str(path))
