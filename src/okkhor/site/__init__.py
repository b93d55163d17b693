"""The guide as a site: Markdown that reads well at its place in the repository, made into pages by mkdocs."""
