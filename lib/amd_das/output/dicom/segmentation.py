"""DICOM SEG: the mask, one binary frame for every slice of the CT."""

from collections.abc import Mapping

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset

from amd_das.conventions import RESEARCH_NOTICE, SEGMENT_LABEL
from amd_das.output.dicom.codes import (
    ABNORMALITY,
    ALGORITHM_NAME,
    ARTIFICIAL_INTELLIGENCE,
    BRAIN,
    HEMORRHAGE,
    recommended_cielab,
)
from amd_das.output.dicom.instance import Result, derived_uid, finished, replaced_uids
from amd_das.output.dicom.source import Source, SourceImage


def build_segmentation(source: Source, mask: np.ndarray, result: Result) -> Dataset:
    """The SEG of a mask (I, J, K) on the grid of the source; slices without hemorrhage are frames of zeros."""
    stand_ins = [source.stand_in(image) for image in source.images]
    frames = {}
    for number, (stand_in, image) in enumerate(zip(stand_ins, source.images, strict=True), start=1):
        if image.frame:  # highdicom wants each image once
            stand_in.SOPInstanceUID = f"2.25.{number}"
            frames[stand_in.SOPInstanceUID] = image
    built = Segmentation(
        source_images=stand_ins,
        pixel_array=np.ascontiguousarray((mask != 0).T.astype(np.uint8)),
        segmentation_type="BINARY",
        segment_descriptions=[_segment(source, result)],
        omit_empty_frames=False,
        content_label="HEMORRHAGE",
        content_description=SEGMENT_LABEL,
        **result.instance("seg"),
    )
    organization = str(built.DimensionOrganizationSequence[0].DimensionOrganizationUID)
    replaced_uids(built, {organization: result.uid("seg", "dimensions")})
    built.BodyPartExamined = "HEAD"
    if frames:
        _refer_to_frames(built, frames)
    return finished(built, source, result)


def _segment(source: Source, result: Result) -> SegmentDescription:
    algorithm = AlgorithmIdentificationSequence(
        name=ALGORITHM_NAME, version=result.algorithm_version, family=ARTIFICIAL_INTELLIGENCE
    )
    segment = SegmentDescription(
        segment_number=1,
        segment_label=SEGMENT_LABEL,
        segmented_property_category=ABNORMALITY,
        segmented_property_type=HEMORRHAGE,
        algorithm_type=result.algorithm_type,
        algorithm_identification=None if result.algorithm_type == "MANUAL" else algorithm,
        tracking_uid=derived_uid(source.series_uid, "segment"),
        tracking_id=SEGMENT_LABEL,
        anatomic_regions=[BRAIN],
    )
    segment.SegmentDescription = f"{SEGMENT_LABEL}. {RESEARCH_NOTICE}"
    segment.RecommendedDisplayCIELabValue = list(recommended_cielab())
    return segment


def _refer_to_frames(built: Dataset, frames: Mapping[str, SourceImage]) -> None:
    """Exchange stand-ins for the multi-frame images they came from, frame by frame and each image once."""
    for group in built.PerFrameFunctionalGroupsSequence:
        for item in group.DerivationImageSequence[0].SourceImageSequence:
            image = frames.get(item.ReferencedSOPInstanceUID)
            if image:
                item.ReferencedSOPInstanceUID, item.ReferencedFrameNumber = image.sop_uid, image.frame
    replaced_uids(built, {uid: image.sop_uid for uid, image in frames.items()})
    for references in (built.SourceImageSequence, built.ReferencedSeriesSequence[0].ReferencedInstanceSequence):
        once = {str(item.ReferencedSOPInstanceUID): item for item in references}
        del references[:]
        references.extend(once.values())
