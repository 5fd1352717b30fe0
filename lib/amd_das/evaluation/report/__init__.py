"""The report of an evaluation: one HTML file that needs nothing else, and the numbers as CSV and JSON."""

from amd_das.evaluation.report.report import ReportFiles, write_report

__all__ = ["ReportFiles", "write_report"]
