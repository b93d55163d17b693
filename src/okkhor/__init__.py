"""Okkhor: image classification from raw Parquet to a served model."""

__version__ = "0.1.0"
