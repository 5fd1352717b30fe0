"""DICOM SR after TID 1500: what was measured, lesion by lesion and in total, and what became of it since a prior CT."""

from collections.abc import Sequence

from highdicom import sr
from highdicom.sr import Comprehensive3DSR, ContentItem
from highdicom.sr import Measurement as SrMeasurement
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from amd_das.conventions import RESEARCH_NOTICE, SEGMENT_LABEL
from amd_das.measurement import Lesion, Measurement
from amd_das.output.dicom import codes
from amd_das.output.dicom.instance import DEVICE_UID, Result, derived_uid, finished
from amd_das.output.dicom.prior import Prior, expansion
from amd_das.output.dicom.reading_back import SEGMENTATION
from amd_das.output.dicom.source import Source
from amd_das.output.drawing import lesions_in_words

_CONTAINS = sr.RelationshipTypeValues.CONTAINS


def build_report(
    source: Source,
    measurement: Measurement,
    result: Result,
    *,
    prior: Prior | None = None,
    remarks: Sequence[str] = (),
    axial: bool = True,
) -> Dataset:
    """The SR of a result; it refers to the SEG of the same result.

    Args:
        source: the CT.
        measurement: of the mask; without lesions the report says a volume of 0 mL.
        result: which result it is.
        prior: an earlier result of the patient to compare with.
        remarks: what a reader should know of the scan.
        axial: whether the lesions' slices are the slices of the series.
    """
    images = list({image.sop_uid: image for image in source.images}.values())
    lesions = [_lesion(lesion, source, result, axial) for lesion in measurement.lesions]
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(result)),
        procedure_reported=codes.CT_OF_HEAD,
        imaging_measurements=[_total(source, measurement, result, prior), *lesions],
    )
    texts = [(codes.SUMMARY, _sentence(measurement, prior))]
    texts += [(codes.COMMENT, remark) for remark in (RESEARCH_NOTICE, *remarks)]
    items = report[0].ContentSequence
    measurements = items.pop()
    items.extend(sr.TextContentItem(name=name, value=text, relationship_type=_CONTAINS) for name, text in texts)
    items.append(measurements)  # last, so that the summary is read first
    identity = result.instance("sr", 1, prior)
    built = Comprehensive3DSR(
        evidence=[*map(source.stand_in, images), _segmentation(source, result)],
        content=report,
        is_complete=True,
        coding_schemes=codes.coding_schemes(),
        **identity,
    )
    return finished(built, source, result)


def _segmentation(source: Source, result: Result) -> Dataset:
    """As much of the SEG as a reference needs."""
    identity = result.instance("seg")
    dataset = Dataset()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = source.study_uid, identity["series_instance_uid"]
    dataset.SOPClassUID, dataset.SOPInstanceUID = SEGMENTATION, identity["sop_instance_uid"]
    return dataset


def _observer(result: Result) -> sr.ObserverContext:
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=DEVICE_UID,
        name=codes.ALGORITHM_NAME,
        manufacturer_name=codes.MANUFACTURER,
        model_name=codes.ALGORITHM_NAME,
        serial_number=result.algorithm_version,
    )
    return sr.ObserverContext(
        observer_type=sr.CodedConcept.from_code(codes.DEVICE), observer_identifying_attributes=device
    )


def _algorithm(result: Result) -> sr.AlgorithmIdentification:
    made = {"MANUAL": "drawn by hand, measured by AMD-DAS", "SEMIAUTOMATIC": "corrected by hand"}
    parameters = [f"algorithm type {result.algorithm_type}"]
    if result.algorithm_type in made:
        parameters.append(made[result.algorithm_type])
    if result.model:
        parameters.append(f"SHA-256 of the weights {result.model.checksum}")
    return sr.AlgorithmIdentification(
        name=codes.ALGORITHM_NAME, version=result.algorithm_version, parameters=parameters
    )


def _total(
    source: Source, measurement: Measurement, result: Result, prior: Prior | None
) -> sr.MeasurementsAndQualitativeEvaluations:
    """All hemorrhage of the scan together; of a scan without any, a volume of 0."""
    measurements = [
        _number(codes.VOLUME, measurement.volume_ml, codes.MILLILITRE, method=codes.SUM_OF_VOXELS),
        _number(codes.NUMBER_OF_LESIONS, len(measurement.lesions), codes.COUNT, digits=0),
    ]
    answers = [sr.QualitativeEvaluation(codes.HEMORRHAGE, codes.PRESENT if measurement.lesions else codes.ABSENT)]
    context: list[ContentItem] = [sr.UIDRefContentItem(codes.SERIES_UID, source.series_uid, _CONTAINS)]
    if source.ct_date:
        context.append(sr.DateContentItem(codes.ACQUISITION_DATE, source.ct_date, _CONTAINS))
    if source.ct_time:
        context.append(sr.TimeContentItem(codes.ACQUISITION_TIME, source.ct_time, _CONTAINS))
    if prior:
        change = expansion(measurement.volume_ml, prior)
        measurements += [
            _number(codes.PRIOR_VOLUME, prior.volume_ml, codes.MILLILITRE),
            _number(codes.CHANGE, change.change_ml, codes.MILLILITRE),
        ]
        if change.percent is not None:
            measurements.append(_number(codes.CHANGE, change.percent, codes.PERCENT, digits=1))
        answers.append(sr.QualitativeEvaluation(codes.EXPANSION, codes.YES if change.expanded else codes.NO))
        context += [
            sr.UIDRefContentItem(codes.PRIOR_STUDY, prior.study_uid, _CONTAINS),
            sr.UIDRefContentItem(codes.PRIOR_SERIES, prior.series_uid, _CONTAINS),
        ]
        if prior.ct_date:
            context.append(sr.DateContentItem(codes.PRIOR_DATE, prior.ct_date, _CONTAINS))
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=derived_uid(source.series_uid, "all lesions"), identifier="All lesions"
        ),
        finding_type=codes.HEMORRHAGE,
        algorithm_id=_algorithm(result),
        finding_sites=[sr.FindingSite(anatomic_location=codes.BRAIN)],
        measurements=measurements,
        qualitative_evaluations=answers,
    )
    group[0].ContentSequence.extend(context)
    return group


def _lesion(
    lesion: Lesion, source: Source, result: Result, axial: bool
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    a, b, c = lesion.diameters_mm
    first, last = lesion.bounding_slices if axial else (0, len(source.images) - 1)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=derived_uid(source.series_uid, "lesion", lesion.label), identifier=f"Lesion {lesion.label}"
        ),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=SEGMENTATION,
            sop_instance_uid=result.instance("seg")["sop_instance_uid"],
            segment_number=1,
            source_images=_sources(source, first, last),
        ),
        finding_type=codes.HEMORRHAGE,
        finding_category=codes.ABNORMALITY,
        algorithm_id=_algorithm(result),
        finding_sites=[sr.FindingSite(anatomic_location=codes.BRAIN, laterality=codes.SIDES.get(lesion.side))],
        measurements=[
            _number(codes.VOLUME, lesion.volume_ml, codes.MILLILITRE, method=codes.SUM_OF_VOXELS),
            _number(codes.ABC2, lesion.abc2_ml, codes.MILLILITRE, method=codes.ABC2_METHOD),
            _number(codes.LONG_AXIS, a, codes.MILLIMETRE, digits=1, method=codes.ABC2_METHOD),
            _number(codes.SHORT_AXIS, b, codes.MILLIMETRE, digits=1, method=codes.ABC2_METHOD),
            _number(codes.ABC2_C, c, codes.MILLIMETRE, digits=1, method=codes.ABC2_METHOD),
            _number(codes.ATTENUATION, lesion.mean_hu, codes.HOUNSFIELD, digits=1, derivation=codes.MEAN),
        ],
    )


def _sources(source: Source, first: int, last: int) -> list[sr.SourceImageForSegmentation]:
    """The images a lesion lies in, each once; of a multi-frame image the frames."""
    frames: dict[tuple[str, str], list[int]] = {}
    for image in source.images[first : last + 1]:
        frames.setdefault((image.sop_class, image.sop_uid), []).extend([image.frame] if image.frame else [])
    return [
        sr.SourceImageForSegmentation(kind, uid, referenced_frame_numbers=sorted(numbers) or None)
        for (kind, uid), numbers in frames.items()
    ]


def _number(
    name: Code,
    value: float,
    unit: Code,
    *,
    digits: int = 3,
    method: Code | None = None,
    derivation: Code | None = None,
) -> SrMeasurement:
    rounded = round(float(value), digits) + 0.0
    measured = SrMeasurement(name=name, value=rounded, unit=unit, method=method, derivation=derivation)
    text = f"{rounded:.{digits}f}"
    measured[0].MeasuredValueSequence[0].NumericValue = text.rstrip("0").rstrip(".") if "." in text else text
    return measured


def _sentence(measurement: Measurement, prior: Prior | None) -> str:
    """The result in words, for viewers that show text alone."""
    count = len(measurement.lesions)
    if count == 0:
        said = f"No {SEGMENT_LABEL.lower()} was found (0 mL)."
    else:
        said = f"{SEGMENT_LABEL}: {measurement.volume_ml:.1f} mL in {lesions_in_words(count)}."
    if prior:
        change = expansion(measurement.volume_ml, prior)
        percent = "" if change.percent is None else f" ({change.percent:+.0f} %)"
        day = (
            prior.ct_date
            if len(prior.ct_date) != 8
            else "-".join((prior.ct_date[:4], prior.ct_date[4:6], prior.ct_date[6:]))
        )
        verdict = "meets" if change.expanded else "does not meet"
        said += (
            f" Since the CT of {day or 'an unknown date'} with {prior.volume_ml:.1f} mL: {change.change_ml:+.1f} mL"
            f"{percent}; this {verdict} the definition of expansion (> 6 mL or > 33 %)."
        )
    return said
