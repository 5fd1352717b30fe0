"""DICOM SC: the CT as pictures with the outline drawn in, for stations that show neither SEG nor SR."""

from typing import Final

import numpy as np
from highdicom.sc import SCImage
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from amd_das.conventions import LINE_RGB, RESEARCH_NOTICE
from amd_das.measurement import Measurement
from amd_das.output.dicom.codes import MADE_BY, MANUFACTURER
from amd_das.output.dicom.instance import Result, finished
from amd_das.output.dicom.source import Source, SourceImage
from amd_das.output.drawing import DISPLAY_HU, TEXT_RGB, Font, font, greys, lesions_in_words, paint
from amd_das.volume import Volume

_SMALLEST_TEXT: Final = 6.0  # pixels
_OBLIQUE: Final = 0.3
"""A direction is named after a second axis too from this cosine on (ours: 17 degrees)."""


def build_captures(
    source: Source, volume: Volume, mask: np.ndarray, measurement: Measurement, result: Result
) -> list[Dataset]:
    """One RGB image for each slice, of the slice's own size and in its own orientation."""
    lines = _lines(measurement, result)
    captures = []
    for index, image in enumerate(source.images):
        picture = draw_slice(volume.array[:, :, index].T, mask[:, :, index].T != 0, lines, letters(image.orientation))
        captures.append(_capture(picture, index + 1, source, image, result))
    return captures


def draw_slice(
    hu: np.ndarray, region: np.ndarray, lines: tuple[str, ...], sides: tuple[str, str, str, str]
) -> np.ndarray:
    """Draw one slice.

    Args:
        hu: (H, W) HU.
        region: (H, W) bool, lesion.
        lines: written in the top left corner, and the research notice at the bottom.
        sides: what lies to the left, right, top and bottom.

    Returns:
        (H, W, 3) uint8.
    """
    rgb = np.repeat(greys(hu)[:, :, None], 3, axis=2)
    paint(rgb, region)
    picture = Image.fromarray(rgb)
    height, width = hu.shape
    draw = ImageDraw.Draw(picture)
    size = max(_SMALLEST_TEXT, min(height, width) / 34)
    margin = size / 2
    for number, line in enumerate(lines):
        colour = LINE_RGB if number == 0 else TEXT_RGB
        _write(
            draw, (margin, margin + 1.25 * size * number), line, colour, _fitting(line, size, width - 2 * margin), "la"
        )
    banner = _fitting(RESEARCH_NOTICE, size, width - 2 * margin)
    top = height - 1.8 * size
    draw.rectangle((0, int(top), width, height), fill=(0, 0, 0))
    draw.text((width / 2, top + 0.9 * size), RESEARCH_NOTICE, LINE_RGB, banner, anchor="mm")
    places = (
        ((margin, height / 2), "lm"),
        ((width - margin, height / 2), "rm"),
        ((width / 2, margin), "ma"),
        ((width / 2, top - margin / 2), "md"),
    )
    for letter, (place, anchor) in zip(sides, places, strict=True):
        _write(draw, place, letter, TEXT_RGB, font(1.2 * size), anchor)
    return np.asarray(picture)


def letters(orientation: np.ndarray) -> tuple[str, str, str, str]:
    """(2, 3) LPS directions of a row and a column → what lies to the left, right, top and bottom ("R", "AH", …)."""
    along_row, along_column = orientation
    return _direction(-along_row), _direction(along_row), _direction(-along_column), _direction(along_column)


def _direction(vector: np.ndarray) -> str:
    """Letters of DICOM PS3.3 C.7.6.1.1.1, the main one first."""
    order = np.argsort(-np.abs(vector), kind="stable")
    names = [("L" if vector[0] > 0 else "R"), ("P" if vector[1] > 0 else "A"), ("H" if vector[2] > 0 else "F")]
    return "".join(names[axis] for rank, axis in enumerate(order) if rank == 0 or abs(vector[axis]) > _OBLIQUE)


def _lines(measurement: Measurement, result: Result) -> tuple[str, ...]:
    found = f"Hemorrhage {measurement.volume_ml:.1f} mL" if measurement.lesions else "No hemorrhage found (0 mL)"
    count = f", {lesions_in_words(len(measurement.lesions))}" if measurement.lesions else ""
    by = MADE_BY[result.algorithm_type]
    low, high = DISPLAY_HU
    return (found + count, f"{MANUFACTURER} {result.algorithm_version}{by}", f"{low:g} to {high:g} HU")


def _fitting(line: str, size: float, width: float) -> Font:
    """The font in which a line is no wider than `width`, down to what is barely text."""
    while size > _SMALLEST_TEXT and font(size).getlength(line) > width:
        size -= 0.5
    return font(size)


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], line: str, colour: tuple[int, ...], one: Font, anchor: str
) -> None:
    """Text with a dark rim, to be read on bone as well."""
    draw.text(place, line, colour, one, anchor=anchor, stroke_width=1, stroke_fill=(0, 0, 0))


def _capture(picture: np.ndarray, number: int, source: Source, image: SourceImage, result: Result) -> Dataset:
    _, right, _, bottom = letters(image.orientation)
    built = SCImage(
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=source.study_uid,
        pixel_spacing=image.plane.spacing,
        patient_orientation=(right[0], bottom[0]),
        **result.instance("sc", number),
    )
    built.PatientOrientation = [right, bottom]
    built.ConversionType, built.BodyPartExamined = "WSD", "HEAD"
    built.BurnedInAnnotation = "YES"
    built.FrameOfReferenceUID, built.PositionReferenceIndicator = source.frame_of_reference_uid, None
    built.ImagePositionPatient = image.position.tolist()
    built.ImageOrientationPatient = image.orientation.ravel().tolist()
    built.SliceThickness = image.plane.thickness or source.slice_spacing_mm
    built.DerivationDescription = "Outline of hemorrhage drawn on the CT"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.sop_class, image.sop_uid
    if image.frame:
        reference.ReferencedFrameNumber = image.frame
    built.SourceImageSequence = [reference]
    if source.lossy:
        built.LossyImageCompression = "01"
        built.LossyImageCompressionRatio, built.LossyImageCompressionMethod = source.lossy
    return finished(built, source, result)
