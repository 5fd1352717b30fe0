"""DICOM SEG: the mask, one binary frame for every slice of the CT."""

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
from amd_das.output.dicom.source import Source


def build_segmentation(source: Source, mask: np.ndarray, result: Result) -> Dataset:
    """The SEG of a mask (I, J, K) on the grid of the source; slices without hemorrhage are frames of zeros."""
    built = Segmentation(
        source_images=source.stand_ins(),
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
    if any(image.frame is not None for image in source.images):
        _refer_to_frames(built, source)
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


def _refer_to_frames(built: Dataset, source: Source) -> None:
    """References to multi-frame images name the frame, and each image once."""
    positions = np.array([image.position for image in source.images])
    for group in built.PerFrameFunctionalGroupsSequence:
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, np.float64)
        frame = source.images[int(np.linalg.norm(positions - position, axis=1).argmin())].frame
        if frame is not None:
            group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = frame
    for references in (built.SourceImageSequence, built.ReferencedSeriesSequence[0].ReferencedInstanceSequence):
        once = {str(item.ReferencedSOPInstanceUID): item for item in references}
        del references[:]
        references.extend(once.values())
