"""Reports of a study from its rows alone: tables, figures, one HTML page."""

from jgc.report.figure import write_figures as write_figures
from jgc.report.page import write_report as write_report
from jgc.report.paper import beside as beside
from jgc.report.table import Table as Table
from jgc.report.table import print_table as print_table
from jgc.report.table import print_tables as print_tables
from jgc.report.table import tables as tables
from jgc.report.table import to_csv as to_csv
from jgc.report.table import to_markdown as to_markdown
