"""Pictures: pure functions from results and summary values to Plotly figures.

The report, the API and the dashboard show the same ones. A figure carries no title (its place in the page
names it), and any name that reaches one is escaped: Plotly reads tags in text.
"""
