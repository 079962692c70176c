"""Load pretrained weights, and translate the names of layers between libraries.

The public functions are `zoo.build(name, weights=SOURCE)`, `zoo.load_weights(model, SOURCE)` and
`zoo.source(name, SOURCE)`. `layouts.layouts(model)` returns the tensors of a network under the
names that torchvision, timm or keras.applications use.
"""
