"""Other people's weights in our networks, and the names that go both ways.

`zoo.build(name, weights=SOURCE)`, `zoo.load_weights(model, SOURCE)` and `zoo.source(name, SOURCE)`
are what this folder is for; `layouts.layouts(model)` is a network's tensors under the names of
torchvision, timm and keras.applications.
"""
