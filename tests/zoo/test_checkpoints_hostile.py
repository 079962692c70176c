"""Damaged, foreign and hostile files of weights are one-line errors, and their code never runs."""

import io
import pickle
import zipfile

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

import zoo


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
