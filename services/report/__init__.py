"""The HTML report: one self-contained file that works offline."""

from services.report.builder import render_report

__all__ = ["render_report"]
