"""Public data sets in small: folders, names, tables and values as each is distributed, with heads of ellipsoids."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from helpers.dicom_series import ct_slice
from helpers.dicom_series import save as save_dicom
from helpers.flairs import AFFINE as FLAIR_AFFINE
from helpers.flairs import make_flair, save
from helpers.heads import AFFINE as HEAD_AFFINE
from helpers.heads import make_head
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

RSNA_KINDS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")
CT_ICH_COLUMNS = (
    "PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,No_Hemorrhage,"
    "Fracture_Yes_No"
)


def write_task01(
    folder: Path, *names: str, listed: Sequence[str] = (), modality: Mapping[str, str] | None = None
) -> Path:
    """Task01_BrainTumour: ``dataset.json``, four channels with FLAIR first, labels 1 to 3, a Mac's leftovers."""
    image, mask = make_flair()
    channels = np.stack([image, *(np.full_like(image, 7000) for _ in range(3))], axis=-1)
    for name in names:
        save(channels, folder / "imagesTr" / f"{name}.nii.gz")
        save(mask * 3, folder / "labelsTr" / f"{name}.nii.gz")
        (folder / "imagesTr" / f"._{name}.nii.gz").write_bytes(b"left by a Mac")
    about = {
        "name": "BRATS",
        "tensorImageSize": "4D",
        "modality": modality or {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
        "training": [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in (*names, *listed)
        ],
        "test": ["./imagesTs/BRATS_485.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


def write_brats(folder: Path, case: str, *, between: str = "_", flair: str = "flair", seg: str = "seg") -> Path:
    """One case's folder with its sequences and labels; ``seg`` empty for none."""
    image, mask = make_flair()
    others = ("t1n", "t1c", "t2w") if flair == "t2f" else ("t1", "t1ce", "t2")
    save(image, folder / case / f"{case}{between}{flair}.nii.gz")
    for name in others:
        save(np.full_like(image, 7000), folder / case / f"{case}{between}{name}.nii.gz")
    if seg:
        save(mask * 4, folder / case / f"{case}{between}{seg}.nii.gz")
    return folder


def write_lgg(folder: Path, patient: str = "TCGA_CS_4941_19960909", *, mode: str = "RGB") -> Path:
    """kaggle_3m: 256 × 256 TIFF of pre-contrast, FLAIR, post-contrast, and masks of 0 and 255."""
    image, mask = make_flair((240, 240, 24))
    place = folder / "kaggle_3m" / patient
    place.mkdir(parents=True)
    for number in range(image.shape[2]):
        grey = np.zeros((256, 256), np.uint8)
        grey[8:248, 8:248] = np.rint(image[:, :, number].T * (255 / 600))
        there = np.zeros((256, 256), np.uint8)
        there[8:248, 8:248] = mask[:, :, number].T * 255
        picture = np.stack([grey // 2, grey, 255 - grey], axis=-1) if mode == "RGB" else grey
        Image.fromarray(picture).save(place / f"{patient}_{number + 1}.tif")
        Image.fromarray(there).save(place / f"{patient}_{number + 1}_mask.tif")
    (folder / "kaggle_3m" / "data.csv").write_text("Patient,RNASeqCluster\n")
    return folder


def rsna_slice(
    hu: np.ndarray, name: str, series: str, height: float, *, patient: str, wrapped: bool = False
) -> Dataset:
    """(rows, columns) HU with RSNA's stripped header: signed 16 bit padded with -2000, or unsigned 12 bit wrapped."""
    whole = ct_slice(hu, series_uid=f"ID_{series}", position=(-96.0, -110.0, height))
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = whole.SOPClassUID
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.SOPInstanceUID, dataset.Modality = f"ID_{name}", "CT"
    dataset.PatientID, dataset.StudyInstanceUID = f"ID_{patient}", f"ID_study{series}"
    dataset.SeriesInstanceUID, dataset.StudyID = f"ID_{series}", ""
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "SamplesPerPixel", "PhotometricInterpretation"):
        setattr(dataset, keyword, whole[keyword].value)
    dataset.Rows, dataset.Columns = hu.shape
    dataset.PixelSpacing = [2.0, 2.0]
    dataset.BitsAllocated, dataset.WindowCenter, dataset.WindowWidth, dataset.RescaleSlope = 16, "40", "80", "1"
    if wrapped:
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation, dataset.RescaleIntercept = 12, 11, 0, "0"
        stored = hu.astype(np.int32) % 4096
    else:
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation, dataset.RescaleIntercept = 16, 15, 1, "-1024"
        rows, columns = np.indices(hu.shape)
        outside = np.hypot(rows - hu.shape[0] / 2, columns - hu.shape[1] / 2) > max(hu.shape) / 2
        stored = np.where(outside, -2000, hu.astype(np.int32) + 1024)
    dataset.PixelData = stored.astype("<u2" if wrapped else "<i2").tobytes()
    return dataset


def write_rsna(
    folder: Path, series: Mapping[str, Sequence[str]], *, patient: str = "", wrapped: bool = False, twice: bool = True
) -> Path:
    """Series of :func:`make_head`; for each, its slices' kinds ("" none, "any" bleeds are said as RSNA does).

    File names run against the order in space, and the table holds one image twice, as RSNA's did.
    """
    hu, _ = make_head()
    rows = ["ID,Label"]
    (folder / "stage_2_train").mkdir(parents=True, exist_ok=True)
    for order, (name, kinds) in enumerate(series.items()):
        for number, kind in enumerate(kinds):
            image = f"{order:02x}{99 - number:02d}{name[:5]}"
            dataset = rsna_slice(
                hu[:, :, number].T, image, name, 8.0 * number, patient=patient or f"p{name}", wrapped=wrapped
            )
            save_dicom(dataset, folder / "stage_2_train" / f"ID_{image}.dcm")
            told = {one: int(one in kind.split("+") or (one == "any" and bool(kind))) for one in RSNA_KINDS}
            rows += [f"ID_{image}_{one},{yes}" for one, yes in told.items()]
    (folder / "stage_2_train.csv").write_text("\n".join([*rows, *(rows[1:7] if twice else [])]) + "\n")
    return folder


def write_cq500(folder: Path, scans: Mapping[int, Sequence[str]], reads: Mapping[int, str] | None = None) -> Path:
    """Folders of series, 20 slices where the name says thin, else 12; ``reads`` gives three views of IPH as "110"."""
    hu, _ = make_head((48, 55, 20))
    for number, names in scans.items():
        for name in names:
            place = folder / f"CQ500CT{number} CQ500CT{number}" / "Unknown Study" / name
            kept = hu if "thin" in name.lower() else hu[:, :, :12]
            for index in range(kept.shape[2]):
                dataset = ct_slice(
                    kept[:, :, index].T, series_uid=f"1.2.{number}.{len(name)}", position=(0, 0, 4.0 * index)
                )
                dataset.PixelSpacing, dataset.PatientID, dataset.PatientName = [4.0, 4.0], f"CQ500CT{number}", ""
                save_dicom(dataset, place / f"CT{index:06d}.dcm")
    if reads is not None:
        kinds = ("ICH", "IPH", "IVH", "SDH", "EDH", "SAH")
        columns = [f"R{reader}:{kind}" for reader in (1, 2, 3) for kind in kinds]
        lines = [",".join(["name", "Category", *columns])]
        for number, views in reads.items():
            values = [view if kind in ("ICH", "IPH") else "0" for view in views for kind in kinds]
            lines.append(",".join([f"CQ500-CT-{number}", "B1", *values]))
        (folder / "reads.csv").write_text("\n".join(lines) + "\n")
    return folder


def _ct_ich_rows(number: int, kinds: Sequence[str]) -> list[str]:
    columns = ("ivh", "iph", "sah", "edh", "sdh")
    return [
        ",".join(map(str, [number, index + 1, *(int(one in kind) for one in columns), int(not kind), 0]))
        for index, kind in enumerate(kinds)
    ]


def write_ct_ich(folder: Path, scans: Mapping[int, Sequence[str]]) -> Path:
    """Version 1.3: ``ct_scans/049.nii`` and so on; ``scans`` gives the kinds on each of ten slices, as "iph+sah"."""
    hu, blood = make_head()
    for number in scans:
        save(hu, folder / "ct_scans" / f"{number:03d}.nii", HEAD_AFFINE)
        save(blood.astype(np.uint8) * 255, folder / "masks" / f"{number:03d}.nii", HEAD_AFFINE)
    rows = [row for number, kinds in scans.items() for row in _ct_ich_rows(number, kinds)]
    (folder / "hemorrhage_diagnosis_raw_ct.csv").write_text("\n".join([CT_ICH_COLUMNS, *rows]) + "\n")
    return folder


def write_ct_ich_jpg(folder: Path, scans: Mapping[int, Sequence[str]]) -> Path:
    """Version 1.0: brain and bone windows as JPEG, and an outline for each slice with a kind."""
    hu, blood = make_head((200, 220, 10), bleed_x=20)
    for number, kinds in scans.items():
        place = folder / "Patients_CT" / f"{number:03d}"
        for name in ("brain", "bone"):
            (place / name).mkdir(parents=True)
        for index, kind in enumerate(kinds):
            for name, low, width in (("brain", -20, 120), ("bone", -900, 3200)):
                grey = np.rint((hu[:, :, index].T - low) * (255 / width)).clip(0, 255).astype(np.uint8)
                Image.fromarray(grey).save(place / name / f"{index + 1}.jpg", quality=95)
            if kind:
                outline = blood[:, :, index].T.astype(np.uint8) * 255
                Image.fromarray(outline).save(place / "brain" / f"{index + 1}_HGE_Seg.jpg", quality=95)
    rows = [row for number, kinds in scans.items() for row in _ct_ich_rows(number, kinds)]
    (folder / "hemorrhage_diagnosis.csv").write_text("\n".join([CT_ICH_COLUMNS, *rows]) + "\n")
    return folder


def write_bhsd(folder: Path, *names: str) -> Path:
    """``label_192``: the ball of blood is 2, intraparenchymal; a corner of the brain is 5, subdural."""
    hu, blood = make_head()
    labels = blood.astype(np.uint8) * 2
    labels[20:26, 50:56, 4:6] = 5
    for name in names:
        save(hu, folder / "label_192" / "images" / f"{name}.nii.gz", HEAD_AFFINE)
        save(labels, folder / "label_192" / "ground truths" / f"{name}.nii.gz", HEAD_AFFINE)
    return folder


def write_pairs(folder: Path, images: str, masks: str, *names: str) -> Path:
    """Heads with masks of one class in two folders of the same names."""
    hu, blood = make_head()
    for name in names:
        save(hu, folder / images / f"{name}.nii.gz", HEAD_AFFINE)
        save(blood.astype(np.uint8), folder / masks / f"{name}.nii.gz", HEAD_AFFINE)
    return folder


def write_flair_pair(folder: Path, image: str, mask: str) -> Path:
    """One FLAIR and its mask under any two names."""
    array, lesion = make_flair()
    save(array, folder / image, FLAIR_AFFINE)
    save(lesion, folder / mask, FLAIR_AFFINE)
    return folder
