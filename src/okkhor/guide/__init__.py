"""The guide as something that runs: the blocks of its pages, and the pages as notebooks."""
