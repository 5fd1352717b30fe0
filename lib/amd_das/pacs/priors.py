"""The result of an earlier CT of the same patient, as the PACS keeps it."""

from pydicom import dcmread

from amd_das.output.dicom import Prior, read_report
from amd_das.pacs.dicomweb import DicomWeb
from amd_das.pacs.series import SeriesInfo
from amd_das.volume import Volume

_TAGS = ["StudyInstanceUID", "SeriesInstanceUID", "PatientID", "StudyDate", "StudyTime"]


def find_prior_of(web: DicomWeb, volume: Volume) -> Prior | None:
    """The same for a series that lies here as DICOM files, whether or not the PACS has it. Raises PacsError."""
    first = dcmread(volume.slice_sources[0].path, stop_before_pixels=True, specific_tags=_TAGS)
    study, series, patient, date, time = (str(first.get(name) or "") for name in _TAGS)
    info = SeriesInfo(study_uid=study, series_uid=series, patient_id=patient, study_date=date, study_time=time)
    return find_prior(web, info)


def find_prior(web: DicomWeb, series: SeriesInfo) -> Prior | None:
    """The latest earlier CT with a report of ours; of several reports the latest. Raises PacsError.

    Reports that do not say when their CT was made cannot be put in order, and are passed over.
    """
    found: dict[tuple[str, str], Prior] = {}
    for dataset in web.prior_reports(series):
        report = read_report(dataset)
        if report is None or not report.ct_datetime:
            continue
        made = f"{dataset.get('ContentDate', '')}{dataset.get('ContentTime', '')}"
        found[report.ct_datetime, made] = Prior(
            volume_ml=report.volume_ml,
            ct_date=report.ct_datetime[:8],
            ct_time=report.ct_datetime[8:],
            study_uid=report.study_uid,
            series_uid=report.series_uid,
        )
    return found[max(found)] if found else None
