"""Damaged, foreign and hostile files of weights are one-line errors, and their code never runs."""

import io
import os
import pickle
import time
import zipfile
import zlib

import h5py
import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

import zoo
from zoo.checkpoints import files


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.safetensors", b"\x10\0\0\0\0\0\0\0{not json", "cannot read the file"),
        ("a.safetensors", b"", "cannot read the file"),
        ("a.weights.h5", b"\x89HDF\r\n\x1a\n and no more", "cannot read the file"),
        ("a.h5", b"text", "cannot read the file"),
        ("a.txt", b"text", "unknown file type; the name must end in"),
    ],
)
def test_a_damaged_file_is_a_one_line_error(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as error:
        zoo.load_weights(zoo.build("toy_resnet"), path)
    assert "\n" not in str(error.value)


def test_a_truncated_safetensors_file_is_an_error(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"conv1.weight": np.zeros((64, 3, 7, 7), "float32")}, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="cannot read the file"):
        zoo.load_weights(zoo.build("toy_resnet"), path)


@pytest.mark.quick
def test_the_format_of_a_file_is_recognized_by_its_content(tmp_path, monkeypatch):
    """Its name may be that of a blob in a cache, or of a torch file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    network = zoo.build("toy_resnet")
    zoo.export(network, tmp_path / "a.safetensors")
    for name in ("pytorch_model.bin", "blob", "A.SAFETENSORS"):
        (tmp_path / name).write_bytes((tmp_path / "a.safetensors").read_bytes())
        again = zoo.build("toy_resnet", weights=f"~/{name}", seed=1)
        np.testing.assert_array_equal(again.get_weights()[0], network.get_weights()[0])
    with pytest.raises(ValueError, match="this is a folder; pass the weights file in it"):
        zoo.build("toy_resnet", weights=str(tmp_path))


@pytest.mark.quick
def test_a_missing_file_is_an_error():
    for path in ("none.weights.h5", "/none/weights.safetensors"):
        with pytest.raises(ValueError, match="there is no such file"):
            zoo.build("toy_resnet", weights=path)


class Bomb:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def keras_archive(path, bomb):
    """Write a .keras file with a Lambda layer that would write a file."""
    code = keras.layers.Lambda(eval(f"lambda x: (open({str(bomb)!r}, 'w'), x)[1]"))
    keras.Sequential([keras.Input((4,)), code]).save(path)
    bomb.unlink()  # building the model called the layer


@pytest.mark.quick
@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".pth"])
def test_a_hostile_keras_file_does_not_run(tmp_path, ending):
    """Its first bytes decide, whatever its name is."""
    bomb = tmp_path / "bomb"
    keras_archive(tmp_path / "model.keras", bomb)
    path = (tmp_path / "model.keras").rename(tmp_path / f"hostile{ending}")
    with pytest.raises(ValueError, match=r"cannot read the file: .* never read as weights"):
        zoo.load_weights(zoo.build("toy_resnet"), path)
    assert not bomb.exists()


@pytest.mark.full
def test_the_hostile_files_run_where_code_is_allowed(tmp_path, python):
    """Otherwise, the tests above and below would prove nothing."""
    bomb = tmp_path / "bomb"
    keras_archive(tmp_path / "model.keras", bomb)
    python(
        "import keras, sys; keras.config.enable_unsafe_deserialization();"
        f"keras.models.load_model({str(tmp_path / 'model.keras')!r})"
    )
    assert bomb.exists()
    bomb.unlink()
    pickle.loads(pickle.dumps(Bomb(bomb))).close()
    assert bomb.exists()


@pytest.mark.parametrize("kind", ["pickle", "zip", "safetensors"])
def test_a_hostile_pickle_does_not_run(tmp_path, kind):
    bomb = tmp_path / "bomb"
    path = tmp_path / ("model.safetensors" if kind == "safetensors" else "model.pth")
    content = pickle.dumps({"conv1.weight": Bomb(bomb)})
    if kind == "zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/version", "3")
        content = stream.getvalue()
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot read the file"):
        zoo.load_weights(zoo.build("toy_resnet"), path)
    assert not bomb.exists()


def huge(file, path):
    """Only a few bytes are written; the rest is the fill value."""
    file.create_dataset("layers/dense/vars/0", (10**6, 10**6), "f4")


def bomb(file, path):
    """A chunk that expands to 1 GB instead of 4 kB."""
    made = file.create_dataset("layers/dense/vars/0", (1000,), "f4", chunks=True, compression=9)
    made.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 30), 9))


def wide_chunk(file, path):
    settings = {"chunks": (1 << 29,), "maxshape": (None,), "compression": 9}
    file.create_dataset("layers/dense/vars/0", (10,), "f4", **settings)


def deep(file, path):
    file["/".join(["layers"] * 500)] = np.zeros(3, "f4")


def zeros(file, path):
    file.create_dataset("layers/dense/vars/0", (10**8,), "f4", external=[("/dev/zero", 0, 1 << 30)])


def virtual(file, path):
    source = h5py.VirtualSource("/etc/passwd", "x", (10,), "f4")
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = source
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def texts(file, path):
    file["layers/dense/vars/0"] = ["a", "b"]


def listed(file, **weights):
    file.attrs["layer_names"] = [b"dense"]
    file.require_group("dense").attrs["weight_names"] = [name.encode() for name in weights]


def loop(file, path):
    listed(file, kernel=0)
    file["dense/kernel"] = h5py.SoftLink("/dense/kernel")


def fifo(file, path):
    """Opening the other file would wait for a writer."""
    os.mkfifo(path.with_name("fifo"))
    listed(file, kernel=0)
    file["dense/kernel"] = h5py.ExternalLink(str(path.with_name("fifo")), "/x")


def repeated(file, path):
    """One array of 4 MB under 1,000 names."""
    names = [f"w{i}" for i in range(1_000)]
    listed(file, **dict.fromkeys(names))
    file["dense/w0"] = np.zeros(1 << 20, "f4")
    for name in names[1:]:
        file[f"dense/{name}"] = file["dense/w0"]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (huge, "expand to more than"),
        (bomb, "a chunk expands to more than its 4,000 bytes"),
        (wide_chunk, "expand to more than"),
        (deep, "is nested more than 64 levels deep"),
        (zeros, "its numbers are in other files"),
        (virtual, "its numbers are in other files"),
        (texts, "are not numbers"),
        (loop, "kernel: a link to another place, which is not followed"),
        (fifo, "kernel: a link to another place, which is not followed"),
        (repeated, "expand to more than"),
    ],
)
@pytest.mark.not_quick
def test_hdf5_files_cannot_hang_the_reader_or_fill_the_memory(tmp_path, make, words):
    path = tmp_path / "a.weights.h5"
    with h5py.File(path, "w") as file:
        make(file, path)
    started = time.monotonic()
    with pytest.raises(ValueError, match=words) as error:
        zoo.load_weights(zoo.build("toy_resnet"), path)
    assert "\n" not in str(error.value)
    assert time.monotonic() - started < 20


@pytest.mark.quick
def test_hdf5_groups_that_contain_themselves_are_read_once(tmp_path):
    """Compressed arrays are read, too, in the order of their names."""
    values = np.random.default_rng(0).normal(size=(40, 30)).astype("f4")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        settings = {"chunks": (7, 30), "compression": "gzip"}
        file.create_dataset("b/x", data=values, shuffle=True, fletcher32=True, **settings)
        file.create_dataset("a/y", data=values, **settings)
        file.create_dataset("b/z", data=values, chunks=True, compression="lzf")
        file["b/again"] = file["b"]
        file["b/root"] = file["/"]
    found = files.contents(tmp_path / "a.h5").entries[""]
    assert [*found] == ["a/y", "b/x", "b/z"]
    for each in found.values():
        np.testing.assert_array_equal(each, values)
