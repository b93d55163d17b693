"""Made-up images to try everything on: letters with a mark above and a mark below, in the wide Parquet format."""

from okkhor.data.synthetic.dataset import render_dataset
from okkhor.data.synthetic.printed import render_text
from okkhor.data.synthetic.sheet import contact_sheet

__all__ = ["contact_sheet", "render_dataset", "render_text"]
