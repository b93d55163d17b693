"""The web page's own small server: it hands out the page, asks a model for it, and renders samples to pick."""
