"""Any folder of image/mask pairs in NIfTI or NRRD: FLAIR with glioma.

``imagesTr/NAME`` with ``labelsTr/NAME``, ``images/`` with ``masks/`` or ``labels/``, ``image/`` with ``label/`` or
``mask/``, or both in one folder as ``NAME`` and ``NAME_mask`` (``_seg``, ``_label``, also with a hyphen).
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

from amd_das.datasets.folders import CaseFiles, Lesion, labelled_mri
from amd_das.datasets.layout import Found, Layout, listed, paired, stem, volumes_in
from amd_das.errors import TrainingError
from amd_das.reading.inputs import MASK_ENDINGS

_FOLDERS: Final = (("images", "labels"), ("image", "label"), ("image", "mask"))


def find(folder: Path, lesion: Lesion | None = None) -> Found:
    """Pairs as above.

    Raises:
        TrainingError, InputError: there are none.
    """
    named = _folders(folder)
    if named is not None:
        images, masks = (volumes_in(place) for place in named)
    elif any((folder / name).is_dir() for name in ("imagesTr", "images")):
        cases = labelled_mri(folder)
        return _checked([replace(case, lesion="glioma") for case in cases], folder)
    else:
        files = volumes_in(folder)
        masks = [path for path in files if stem(path).lower().endswith(MASK_ENDINGS)]
        images = [path for path in files if path not in masks]
    endings = {path: next((end for end in MASK_ENDINGS if stem(path).lower().endswith(end)), "") for path in masks}
    plain = {stem(path).removesuffix(end) if end else stem(path): path for path, end in endings.items()}
    pairs, _ = paired(images, [], str(folder))
    cases = [
        CaseFiles(case=stem(image), patient=stem(image), image=image, mask=plain.get(stem(image)), lesion="glioma")
        for image, _ in pairs
    ]
    alone = sorted(plain.keys() - {case.case for case in cases})
    return _checked(cases, folder, [f"{len(alone)} label(s) without an image: {listed(alone)}"] if alone else [])


def _checked(cases: list[CaseFiles], folder: Path, problems: list[str] | None = None) -> Found:
    bare = [case.case for case in cases if case.mask is None]
    if len(bare) == len(cases):
        raise TrainingError(
            f"none of the {len(cases)} images in {folder} has a mask; expected labelsTr/NAME.nii.gz or "
            "masks/NAME-glioma.nii.gz for each image NAME.nii.gz, or NAME_mask.nii.gz beside it"
        )
    missing = [f"{len(bare)} image(s) without a label: {listed(bare)}"] if bare else []
    kept = tuple(case for case in cases if case.mask is not None)
    return Found(cases=kept, problems=(*(problems or ()), *missing))


def _folders(folder: Path) -> tuple[Path, Path] | None:
    places = ((folder / images, folder / masks) for images, masks in _FOLDERS)
    return next(((images, masks) for images, masks in places if images.is_dir() and masks.is_dir()), None)


def recognise(folder: Path) -> bool:
    """Whether there is a folder of images, or masks beside images."""
    if _folders(folder) or any((folder / name).is_dir() for name in ("imagesTr", "images")):
        return True
    return any(stem(path).lower().endswith(MASK_ENDINGS) for path in volumes_in(folder))


LAYOUT = Layout(
    name="pairs",
    title="Any folder of image/mask pairs",
    side="source",
    needs="skull-stripped FLAIR: imagesTr/ with labelsTr/, images/ with masks/, or NAME.nii.gz with NAME_mask.nii.gz",
    lesions=("glioma",),
    terms="your own",
    recognise=recognise,
    find=find,
)
