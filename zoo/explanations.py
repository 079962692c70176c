"""Save pictures that explain predictions: each image next to its Grad-CAM heat map."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from zoo import explaining, pictures
from zoo.inference import Network
from zoo.predicting import Shown

AT_ONCE = 8  # images; Grad-CAM keeps the outputs of all layers in memory


class Explanations:
    """Save a picture of each image, in the same subfolders as the images.

    Attributes:
        failed: the number of pictures that could not be saved.
    """

    def __init__(
        self,
        to: Path,
        places: Iterable[Path],
        network: Network,
        stage: str | None,
        say: Callable[[str], object],
    ):
        """Create the folder.

        Args:
            to: the folder for the pictures.
            places: the files and folders that the user passed. Pictures of single files are saved
                directly in `to`. If there is only one folder, the pictures of its images keep their
                subfolders; if there are several, each becomes a subfolder.
            network: the network.
            stage: the stage whose feature maps Grad-CAM uses; None for the last with feature maps.
            say: a function that is called with a message if a picture cannot be saved.

        Raises:
            ValueError: the folder cannot be created.
        """
        self.to, self.network, self.stage, self.say = to, network, stage, say
        folders = [place for place in places if place.is_dir()]
        self.roots = {f: Path() if len(folders) == 1 else Path(f.resolve().name) for f in folders}
        self.taken: set[Path] = set()
        self.failed = 0
        try:
            to.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"--explain={to}: cannot create this folder ({error.strerror or error}); choose "
                "another one"
            ) from None

    def save(
        self, batch: Sequence[Shown], classes: np.ndarray, probabilities: np.ndarray
    ) -> list[Path | None]:
        """Save the pictures of a batch, with the heat map of the center crop.

        Args:
            batch: the images.
            classes: the number of the class to explain, for each image.
            probabilities: the probability of that class, for each image.

        Returns:
            The paths of the pictures; None for those that could not be saved.
        """
        middle = np.stack([shown.views[0] for shown in batch])
        heats: list[np.ndarray] = []
        for i in range(0, len(batch), AT_ONCE):
            some = slice(i, i + AT_ONCE)
            heats += list(
                explaining.gradcam(self.network.model, middle[some], classes[some], self.stage)
            )
        saved: list[Path | None] = []
        for i, shown in enumerate(batch):
            path = self._place(shown.item.value)
            try:
                picture = pictures.explanation(
                    shown.item.read(self.network.channels), middle[i], heats[i],
                    shown.item.value.name,
                    self.network.name_of(classes[i]), probabilities[i],
                )  # fmt: skip
                saved.append(pictures.save(picture, path))
            except ValueError as error:
                self.failed += 1
                self.say(f"no picture of {shown.item.name}: {error}")
                saved.append(None)
        return saved

    def _place(self, path: Path) -> Path:
        inside = Path(path.name)
        for root, name in self.roots.items():
            if path.is_relative_to(root):
                inside = name / path.relative_to(root)
                break
        found, copies = inside.with_suffix(".png"), 1
        while found in self.taken:  # such as cat.png for cat.jpg and cat.jpeg
            copies += 1
            found = inside.with_name(f"{inside.stem}-{copies}.png")
        self.taken.add(found)
        return self.to / found
