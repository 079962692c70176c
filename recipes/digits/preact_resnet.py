"""A pre-activation ResNet of 20 layers on digits (He et al. 2016, Identity Mappings).

The paper's network of 110 layers, reduced to three blocks in each stage as in digits/resnet20. Norm
and activation precede each convolution, and nothing follows the additions. Everything else is as in
digits/resnet20.

Command: recipes train digits/preact_resnet
Cost: two minutes on 2 CPU cores.
Expect: 0.97 or more.
Measured: 0.9898 ± 0.0032 over seeds 0 to 2, on 2 cores of an AMD EPYC that also did other work,
commit be21247.
"""

from recipes import Recipe, main
from recipes.augment import PadCrop, Resize

recipe = Recipe(
    model="preact_resnet110",
    data="digits",
    options={"depths": (3, 3, 3)},
    augment=(Resize(32), PadCrop(2)),
    eval_ops=(Resize(32),),
    preprocess="standardize",
    batch_size=64,
    epochs=20,
    lr=0.1,
    weight_decay=1e-4,
    schedule="cosine",
    warmup=1,
)

space = """
    act=relu,elu,selu,gelu norm=batch,group,layer init=kaiming,xavier,orthogonal drop_path=0:0.3
    lr=log:1e-2:0.5 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
