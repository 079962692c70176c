"""A block that stores only its inputs for the backward pass, and computes the rest again."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class Recompute(keras.layers.Layer):
    """A functional model as one layer, which is computed again for its gradients.

    Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost. State that the layers of `body`
    update (moving statistics, seeds of dropout) is updated only once, and the second pass uses the
    same dropout masks. Outside of training, the layer is the same as `body`.

    Args:
        body: keras.Model with one or more inputs.
    """

    def __init__(self, body, **kwargs):
        # The layers of the body cast their inputs; a cast here would also cast moving statistics.
        super().__init__(**{**kwargs, "autocast": False})
        self.body = body

    def build(self, input_shape):
        self.built = True

    def call(self, inputs, training=None):
        if not training:
            return self.body(inputs, training=training)
        others = self.body.non_trainable_variables
        # These are copies, because the second pass must not read what the first one has updated.
        weights, states = (
            [ops.copy(v.value) for v in variables]
            for variables in (self.body.trainable_variables, others)
        )

        def run(weights, *inputs):
            x = inputs[0] if len(inputs) == 1 else list(inputs)
            return self.body.stateless_call(weights, states, x, training=True)

        outputs, updated = keras.remat(run)(weights, *keras.tree.flatten(inputs))
        for variable, state in zip(others, updated, strict=True):
            variable.assign(state)
        return outputs

    def compute_output_spec(self, inputs, training=None):
        return self.body.compute_output_spec(inputs)

    def compute_output_shape(self, input_shape):
        return self.body.compute_output_shape(input_shape)

    def get_config(self):
        config = super().get_config()
        return {**config, "body": keras.saving.serialize_keras_object(self.body)}

    @classmethod
    def from_config(cls, config):
        body = keras.saving.deserialize_keras_object(config["body"])
        return cls(**{**config, "body": body})
