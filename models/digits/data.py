"""Colourful digits: scikit-learn's handwritten digits, each rotated and multiplied by a colour."""

from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.integer[Any]]

SIDE = 8
SIZE = SIDE * SIDE * 3
TRAINING_COUNT = 1297
VALIDATION_COUNT = 297
LARGEST_ANGLE = 40.0


@dataclass(frozen=True, eq=False)
class Digits:
    """Grey digits and their classes."""

    images: Floats
    """[m, 8, 8] in 0..1."""
    classes: Integers
    """[m] in 0..9."""

    def __getitem__(self, rows: slice) -> "Digits":
        """Return the digits of these rows."""
        return Digits(self.images[rows], self.classes[rows])

    def __len__(self) -> int:
        """Return the number of digits."""
        return len(self.classes)


@dataclass(frozen=True, eq=False)
class Settings:
    """What n renders show: which digit, in which colour, at which angle."""

    index: Integers
    """[n], rows of the digits."""
    color: Floats
    """[n, 3] in 0..1."""
    angle: Floats
    """[n] in degrees."""

    def __getitem__(self, rows: Any) -> "Settings":
        """Return the settings of these rows."""
        return Settings(*(getattr(self, field.name)[rows] for field in fields(self)))

    def __len__(self) -> int:
        """Return the number of renders."""
        return len(self.index)


def load_split(*, validate: bool = False) -> tuple[Digits, Digits]:
    """Load the digits to learn from and the digits to measure on.

    Args:
        validate: Whether to leave the held-out digits alone and to measure on the last 297 of the 1,297 training digits,
            learning from the 1,000 before them. Settings are chosen so.

    Returns:
        The first 1,297 digits and the last 500; or, when validating, the first 1,000 and the next 297.
    """
    bunch = load_digits()
    digits = Digits((bunch.images / 16).astype(np.float32), bunch.target.astype(np.int64))
    training, held_out = digits[:TRAINING_COUNT], digits[TRAINING_COUNT:]
    if validate:
        return training[:-VALIDATION_COUNT], training[-VALIDATION_COUNT:]
    return training, held_out


def label(digits: Digits, settings: Settings) -> dict[str, NDArray[Any]]:
    """Return what n renders with these settings show: digit [n], its class; color [n, 3]; angle [n]."""
    return {"digit": digits.classes[settings.index], "color": settings.color, "angle": settings.angle}


def draw_settings(index: Integers, rng: np.random.Generator) -> Settings:
    """Draw a colour from U(0, 1)³ and an angle from U(-40°, 40°) for each entry of ``index`` [n]."""
    color = rng.uniform(0, 1, (len(index), 3))
    return Settings(index, color, rng.uniform(-LARGEST_ANGLE, LARGEST_ANGLE, len(index)))


def draw_repeated(digits: Digits, repeats: int, seed: int) -> Settings:
    """Draw settings that show every digit ``repeats`` times, shape [repeats * len(digits)]."""
    rng = np.random.default_rng(seed)
    return draw_settings(np.tile(np.arange(len(digits)), repeats), rng)


def render(digits: Digits, settings: Settings, offsets: Floats | None = None) -> Floats:
    """Render digits in their colours and at their angles.

    Args:
        digits: The grey digits.
        settings: What to show, n renders.
        offsets: [n, 2, 8, 8], by how many pixels (row, column) each pixel looks beside its place in the grey digit. None
            renders exactly.

    Returns:
        Images in 0..1, float32, shape [n, 192]: rows, columns and channels in C order.
    """
    grey = rotate(digits.images[settings.index], settings.angle, offsets)
    return (grey[..., None] * settings.color[:, None, None, :]).reshape(-1, SIZE).astype(np.float32)


def rotate(images: Floats, angles: Floats, offsets: Floats | None = None) -> Floats:
    """Rotate as ``scipy.ndimage.rotate(image, angle, reshape=False, order=1)`` does, all images in one step.

    Args:
        images: [n, 8, 8].
        angles: [n] in degrees.
        offsets: [n, 2, 8, 8], added to the place (row, column) where a pixel is read, then kept inside the image.

    Returns:
        The rotated images, shape [n, 8, 8]. What is read outside the image is 0.
    """
    radians = np.deg2rad(angles)[:, None, None]
    centre = (SIDE - 1) / 2
    row, column = np.mgrid[:SIDE, :SIDE] - centre
    rows = np.cos(radians) * row + np.sin(radians) * column + centre
    columns = np.cos(radians) * column - np.sin(radians) * row + centre
    inside = (rows >= 0) & (rows <= SIDE - 1) & (columns >= 0) & (columns <= SIDE - 1)
    if offsets is not None:
        rows, columns = rows + offsets[:, 0], columns + offsets[:, 1]
    return np.asarray(sample(images, rows, columns) * inside)


def sample(images: Floats, rows: Floats, columns: Floats) -> Floats:
    """Read images [n, 8, 8] bilinearly at places [n, 8, 8], the nearest pixel's value outside."""
    rows, columns = np.clip(rows, 0, SIDE - 1), np.clip(columns, 0, SIDE - 1)
    top = np.minimum(rows.astype(np.intp), SIDE - 2)
    left = np.minimum(columns.astype(np.intp), SIDE - 2)
    down, right = rows - top, columns - left
    flat = images.reshape(-1)
    corner = np.arange(len(images))[:, None, None] * SIDE**2 + top * SIDE + left
    upper = flat[corner] * (1 - right) + flat[corner + 1] * right
    lower = flat[corner + SIDE] * (1 - right) + flat[corner + SIDE + 1] * right
    return np.asarray(upper * (1 - down) + lower * down)
