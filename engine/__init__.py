"""Shur's engine: everything but the page. It never imports ui, gradio or plotly; torch only inside the worker's functions."""

__version__ = "0.1.0"
