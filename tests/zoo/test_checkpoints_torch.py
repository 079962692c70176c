"""Files of torch are read without torch: those that torch wrote, and hostile or damaged ones."""

import copy
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import zoo
from tests.zoo import torch_writing as writing
from zoo.checkpoints import files

FIXTURES = Path(__file__).parent / "fixtures"
Call, Name, Tensor, new, save = (
    writing.Call, writing.Name, writing.Tensor, writing.new, writing.save,
)  # fmt: skip

both_formats = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


@pytest.mark.quick
@pytest.mark.parametrize("name", ["torch_zip", "torch_legacy", "torch_legacy_4"])
def test_files_written_by_torch_are_read(name):
    """`tools/fixtures --files` wrote them with torch: values, views, dtypes and other objects."""
    found = files.contents(FIXTURES / f"{name}.pth")
    arrays = {key: x.array() for key, x in found.entries["model"].items()}
    counted = np.arange(24, dtype="float32").reshape(2, 3, 4)
    expected = {
        "plain": counted,
        "half": counted,
        "bfloat16": counted,
        "double": counted,
        "long": counted,
        "transposed": counted.transpose(2, 0, 1),
        "part": counted[1, 1:],
        "tied": counted,
        "channels_last": counted.reshape(1, 2, 3, 4),
        "parameter": counted,
        "scalar": np.float32(5),
        "empty": np.zeros((0, 3), "float32"),
    }
    assert arrays.keys() == expected.keys()
    for key, value in expected.items():
        assert arrays[key].dtype == "float32"
        np.testing.assert_array_equal(arrays[key], value, err_msg=key)
    assert found.architecture == "tf_efficientnet_b0"
    np.testing.assert_array_equal(found.entries["model_ema"]["plain"].array(), counted + 1)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "torch_module.pth",
            r"an object of torch\.nn\.modules\.linear\.Linear; .*\.state_dict\(\)",
        ),
        ("torch_script.pt", r"a TorchScript program.*torch\.jit\.load\(FILE\)\.state_dict\(\)"),
    ],
)
def test_a_pickled_module_or_torchscript_program_is_an_error(name, words):
    with pytest.raises(ValueError, match=f"cannot read the file: .*{words}"):
        files.contents(FIXTURES / name)


def harmless():
    """Return objects that training scripts save next to the weights."""
    return {
        "epoch": 3,
        "args": Call("argparse.Namespace", (), {"lr": 0.1, "model": "resnet18"}),
        "best_acc1": Call("numpy._core.multiarray.scalar", (Call("numpy.dtype", ("f8",)), "x")),
        "config": new("__main__.Config", {"width": 3}),
        "hyper_parameters": new("omegaconf.dictconfig.DictConfig", {"_content": {}}),
        "device": Call("torch.device", ("cuda", 0)),
        "generator": Call("numpy.random.bit_generator.__pyx_unpickle_SeedSequence", (1, 2)),
        "path": Call("pathlib.PosixPath", ("a", "b")),
        "counts": Call("collections.defaultdict", (Name("builtins.int"),)),
        "history": new("mmengine.logging.history_buffer.HistoryBuffer", {"a": [1, 2]}),
        "empty": b"\x8f(J\x01\x00\x00\x00\x90",  # a set
    }


@pytest.mark.quick
@both_formats
def test_objects_next_to_the_weights_are_skipped(tmp_path, legacy):
    kernel = np.arange(6, dtype="float32").reshape(2, 3)
    save({**harmless(), "state_dict": {"a.weight": kernel}}, tmp_path / "a.pth", legacy)
    assert files.read(tmp_path / "a.pth").keys() == {"a.weight"}
    np.testing.assert_array_equal(files.read(tmp_path / "a.pth")["a.weight"], kernel)


def _command(bomb):
    return f"touch {bomb}"


def attacks(bomb):
    command = _command(bomb)
    return {
        "os.system": Call("os.system", (command,)),
        "posix.system": Call("posix.system", (command,)),
        "builtins.eval": Call("builtins.eval", (f"open({str(bomb)!r}, 'w')",)),
        "python 2": Call("__builtin__.eval", (f"open({str(bomb)!r}, 'w')",)),
        "exec": Call("builtins.exec", (f"open({str(bomb)!r}, 'w')",)),
        "getattr": Call("builtins.getattr", (Name("os.path"), "join")),
        "subprocess": new("subprocess.Popen", {"args": command}),
        "named alone": Name("os.system"),
        "inst": b"(" + writing.Writer().encoded(command) + b"ios\nsystem\n",
        "obj": b"(" + Name("os.system").encoded() + writing.Writer().encoded(command) + b"o",
        "stack global": b"X\x02\0\0\0osX\x06\0\0\0system\x93"
        + writing.Writer().encoded((command,)) + b"R",
        "extension": b"\x82\x01)R",
        "other package": Call("numpy.testing._private.utils.runstring", (command, {})),
        "torch's loader": Call("torch.storage._load_from_bytes", (command,)),
        "torch.load": Call("torch.serialization.load", (command,)),
        "dotted": Call("torch._utils.os.system", (command,)),
        "subclass": Call(
            "torch._tensor._rebuild_from_type_v2", (Name("torch.hub.load"), None, (command,), {})
        ),
        "partial": Call("functools.partial", (Name("os.system"), command)),
        "result called": b"cargparse\nNamespace\n)R" + writing.Writer().encoded((command,)) + b"R",
    }  # fmt: skip


@both_formats
@pytest.mark.parametrize("place", ["beside", "as a tensor", "nested", "state", "key"])
def test_hostile_pickles_are_one_line_errors_and_never_run(tmp_path, legacy, place):
    """The call may stand anywhere in the pickle."""
    bomb, model = tmp_path / "bomb", zoo.build("toy_mlp")
    weights = {"conv1.weight": np.zeros((3, 3), "float32")}
    for name, attack in attacks(bomb).items():
        value = {
            "beside": {"state_dict": weights, "args": attack},
            "as a tensor": {"state_dict": {"conv1.weight": attack}},
            "nested": {"state_dict": weights, "a": [({"b": (attack,)},)]},
            "state": {
                "state_dict": weights,
                "args": Call("argparse.Namespace", (), (None, attack)),
            },
            "key": {"state_dict": weights, "a": b"}(" + writing.Writer().encoded(attack) + b"Nu"},
        }[place]
        save(value, tmp_path / "a.pth", legacy)
        with pytest.raises(ValueError, match="cannot read the file") as error:
            zoo.load_weights(model, tmp_path / "a.pth")
        assert "\n" not in str(error.value), name
        assert not bomb.exists(), name


@pytest.mark.quick
@pytest.mark.parametrize("place", range(5))
def test_hostile_pickles_around_the_weights_never_run(tmp_path, place):
    """The old format has five pickles: magic number, version, sizes, the value and its keys."""
    bomb = tmp_path / "bomb"
    for name, attack in attacks(bomb).items():
        parts = [writing.MAGIC, 1001, {"little_endian": True}, {"a": 1}, []]
        parts[place] = {"a": attack} if place else attack
        # A file that begins with another pickle is not recognized, but is not unpickled either.
        pickles = [writing.Writer().pickled(part) for part in parts]
        (tmp_path / "a.pth").write_bytes(b"".join(pickles))
        with pytest.raises(ValueError, match="cannot read the file") as error:
            files.read(tmp_path / "a.pth")
        assert "\n" not in str(error.value), name
        assert not bomb.exists(), name


@both_formats
def test_methods_of_objects_are_not_called(tmp_path, legacy):
    """Neither __new__ nor __setstate__, append, extend, add or __setitem__ of a named class."""
    bomb = tmp_path / "bomb"
    module = tmp_path / "trap_of_a_test.py"
    module.write_text(
        f"class Trap(dict):\n"
        f"    def __new__(cls, *a): open({str(bomb)!r}, 'w')\n"
        f"    __setstate__ = append = extend = __setitem__ = add = __new__\n"
    )
    weights = {"conv1.weight": np.zeros((3, 3), "float32")}
    for state in ({"a": 1}, (None, {"slot": 1}), "a"):
        trap = new("trap_of_a_test.Trap", state)
        items = writing.Writer().encoded(trap) + b"(J\1\0\0\0Nu" + b"(J\1\0\0\0e" + b"Na"
        save({"state_dict": weights, "a": trap, "b": items}, tmp_path / "a.pth", legacy)
        assert files.read(tmp_path / "a.pth").keys() == {"conv1.weight"}
        assert not bomb.exists()


ROW = np.arange(6, dtype="float32")


@both_formats
@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(ROW, offset=1),
        Tensor(ROW, offset=-1),
        Tensor(ROW, shape=(7,)),
        Tensor(ROW, shape=(2, 3), stride=(3, 2)),
        Tensor(ROW, shape=(2, 3), stride=(-3, 1)),
        Tensor(ROW, shape=(2, 3), stride=(3,)),
        Tensor(ROW, shape=(1 << 40,), stride=(0,)),
        Tensor(ROW, shape=(1 << 62, 1 << 62), stride=(0, 0)),
        Tensor(ROW, shape=("a",)),
        Tensor(ROW, shape=(6.0,)),
        Tensor(ROW, shape=(-6,)),
        Tensor(ROW, shape=(1 << 40,), count=1 << 40),
        Tensor(ROW, count=7, shape=(7,)),
        Tensor(ROW, count=-1),
        Tensor(ROW, key="../../../../etc/passwd"),
        Tensor(ROW, key="/etc/passwd"),
        Tensor(ROW, key="9"),
    ],
    ids=lambda tensor: " ".join(f"{k}={v}" for k, v in vars(tensor).items() if k != "array"),
)
def test_tensors_outside_of_their_storage_are_errors(tmp_path, legacy, tensor):
    save({"a": tensor}, tmp_path / "a.pth", legacy)
    with pytest.raises(ValueError, match="cannot read the file"):
        files.read(tmp_path / "a.pth")


@both_formats
def test_truncated_files_are_one_line_errors(tmp_path, legacy):
    path = tmp_path / "a.pth"
    save({"a": ROW, "b": ROW + 1}, path, legacy)
    whole = path.read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="cannot read the file") as error:
            files.read(path)
        assert "\n" not in str(error.value)
    path.write_bytes(whole)
    np.testing.assert_array_equal(files.read(path)["b"], ROW + 1)


def test_compressed_archives_are_rejected(tmp_path):
    path = tmp_path / "a.pth"
    pickled = writing.Writer().pickled({"a": Tensor(ROW, shape=(1 << 24,), count=1 << 24)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickled, zipfile.ZIP_STORED)
        archive.writestr("archive/data/0", b"\0" * (1 << 26))
    with pytest.raises(ValueError, match=r"data/0 is compressed, which torch\.save never does"):
        files.read(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"N" * (1 << 24) + b".")
    with pytest.raises(ValueError, match="compressed"):
        files.read(path)


def test_changed_bytes_and_overlapping_tensors_are_detected(tmp_path):
    """Checksums show changed bytes, and the sum of the sizes shows overlapping tensors."""
    path = tmp_path / "a.pth"
    save({"a": ROW, "b": ROW + 1}, path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(ROW.tobytes(), ROW[::-1].tobytes()))
    with pytest.raises(ValueError, match=r"data/0 is damaged: its checksum differs"):
        files.read(path)
    many = {str(i): Tensor(ROW.repeat(100), key=f"same{i}") for i in range(50)}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", writing.Writer().pickled(many))
        archive.writestr("x/data/same0", ROW.repeat(100).tobytes())
        for i in range(1, 50):  # the same bytes under other names
            again = copy.copy(archive.getinfo("x/data/same0"))
            again.filename = f"x/data/same{i}"
            archive.filelist.append(again)
    with pytest.raises(ValueError, match="its tensors overlap in the file"):
        files.read(path)


def test_pickles_with_too_many_operations_are_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.checkpoints.unpickling.LARGEST", 1000)
    save({"a": ROW, "b": list(range(1000))}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="more than 1,000 operations"):
        files.read(tmp_path / "a.pth")


@both_formats
def test_keys_that_cannot_be_hashed_are_skipped(tmp_path, legacy):
    """A list is a key, and so are deeply nested tuples, whose hash would exhaust the stack."""
    deep = b"N" + b"\x85" * 200_000
    save({"a": ROW, "b": b"}(]Nu", "c": b"}(" + deep + b"Nu"}, tmp_path / "a.pth", legacy)
    assert files.read(tmp_path / "a.pth").keys() == {"a"}


def test_tensors_of_a_big_endian_machine_are_read(tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", writing.Writer().pickled({"a": ROW}))
        archive.writestr("x/byteorder", "big")
        archive.writestr("x/data/0", ROW.astype(">f4").tobytes())
    np.testing.assert_array_equal(files.read(path)["a"], ROW)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x80\x02}.", "it was not written by torch.save"),
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of Git LFS"),
        (b"<html>", "it is a web page"),
        (struct.pack("<q", 1), "it was not written by torch.save"),
    ],
)
def test_an_error_names_the_kind_of_a_file_that_torch_did_not_write(tmp_path, content, words):
    path = tmp_path / "resnet18.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"cannot read the file: {words}"):
        zoo.load_weights(zoo.build("toy_resnet"), path)


def test_a_checkpoint_without_tensors_is_an_error(tmp_path):
    args = Call("argparse.Namespace", (), {})
    module = new("ultralytics.nn.tasks.ClassificationModel", {})
    for held, words in (
        ({"epoch": 3, "args": args}, r"but an object of argparse\.Namespace$"),
        ({"args": args, "ema": module}, r"load\(FILE, weights_only=False\)\['ema'\]\.state_dict"),
        ({"train": module, "model": module}, r"False\)\['model'\]\.state_dict\(\), NEW\)$"),
        (np.zeros(3, "float32"), "but a single tensor$"),
        ([np.zeros(3, "float32")], "but a list$"),
    ):
        save(held, tmp_path / "a.pth")
        with pytest.raises(ValueError, match=rf"contains no dict of tensors, .*{words}"):
            files.read(tmp_path / "a.pth")
