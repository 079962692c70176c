import ctypes
import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parents[1]
# A shell that starts this in its background ignores Ctrl-C for it and all its children.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What is for the long tier by its cost alone: a shorter test has the same code in CI.
LONG = {
    "test_each_value[toy_nasnet]",
    "test_each_value[toy_inception]",
    "test_each_value[toy_mobilenet_v3]",
    "test_grid_shows_trials_that_fail_and_goes_on_with_more",
    "test_hyperband_gives_each_rung_its_epochs",
    "test_a_run_killed_in_mid_epoch_goes_on_to_the_same_weights[plateau]",
    "test_the_test_set_is_opened_once_after_the_last_epoch[False]",
    "test_virtual_devices_asked_for_too_late",
    "test_inception[inception_resnet_v2-InceptionResNetV2]",
    "test_nasnet[nasnet_large-75-options1]",
    "test_sizes_that_vary[inception_resnet_v2]",
    "test_sizes_that_vary[inception_v4]",
    "test_sizes_that_vary[nasnet_large]",
    "test_a_nasnet_of_varying_size_runs_on_each[32-options0]",
    "test_a_nasnet_of_varying_size_runs_on_each[32-options1]",
    "test_a_nasnet_of_varying_size_runs_on_each[32-options2]",
    "test_a_nasnet_of_varying_size_runs_on_each[33-options0]",
    "test_vgg[VGG19]",
    "test_logits[efficientnet_b1-EfficientNetB1-65-options5]",
    "test_our_recipes_pass[digits/mlp]",
    "test_initial_weights_fitted_to_training_images[data_dependent]",
    "test_networks_without_a_finite_loss_are_reported_and_drawn[digits/resnet20]",
    "test_what_is_broken_fails_where_it_should[rate of 1e-8]",
    "test_deep_networks_build_save_and_load",
    "test_one_of_each_family[toy_nasnet-tflite]",
    "test_one_of_each_family[toy_nasnet-keras]",
    "test_one_of_each_family[toy_inception-tflite]",
    "test_one_of_each_family[toy_googlenet-tflite]",
    "test_one_of_each_family[toy_efficientnet-tflite]",
    "test_one_of_each_family[toy_senet-tflite]",
    "test_other_weights_give_other_logits",
    "test_resnet50_v1[kept]",
    "test_sizes_that_vary[nasnet_mobile]",
    "test_a_nasnet_of_varying_size_runs_on_each[33-options1]",
    "test_a_saved_model_opens_with_keras_and_zoo_alone[import zoo, tensorflow, keras]",
}
# Of what is quick otherwise.
NOT_QUICK = {
    "test_groups_train_without_onednn",
    "test_the_flags_of_the_new_fields",
    "test_a_named_sources_preprocessing_takes_the_recipes_place",
    "test_a_saved_model_carries_it",
    "test_parallelism_changes_nothing[chain]",
    "test_batch_norm_under_two_replicas",
    "test_receptive_fields_of_known_networks",
    "test_each_value[toy_resnet]",
    "test_each_value[toy_alexnet]",
    "test_counts[resnet1202]",
    "test_counts[preact_resnet1001]",
    "test_counts[nasnet_large]",
}


def pytest_configure(config):
    config.addinivalue_line("markers", "not_quick: left out of the quick tier by its cost")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.name in LONG:
            item.add_marker(pytest.mark.full)
        if item.name in NOT_QUICK:
            item.add_marker(pytest.mark.not_quick)


@pytest.fixture(autouse=True, scope="module")
def _memory_given_back():
    """What a module's networks took goes back to the system: a worker would keep gigabytes."""
    if not gc.get_freeze_count():
        gc.freeze()  # TensorFlow's modules need not be gone through at each collection
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()  # collects
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's
        trim(0)


@pytest.fixture
def python():
    """Runs a program in a fresh Python; returns its completed process, which must succeed."""

    def run(program: str, check=True, **environment):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            timeout=600,
        )
        assert not check or done.returncode == 0, done.stderr[-3000:]
        return done

    return run
