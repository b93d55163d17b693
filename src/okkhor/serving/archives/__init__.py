"""What servers take of a bundle: one module a server, `write_<server>(bundle, format, out) -> Path` in it."""
