"""Options, values and times as people read them in a table."""

from collections.abc import Sequence


def short_names(keys: Sequence[str]) -> list[str]:
    """Options by the last part of their names, where that tells them apart."""
    plain = [key.lstrip("+~") for key in keys]
    last = [key.rpartition(".")[2] for key in plain]
    return [name if last.count(name) == 1 else key for key, name in zip(plain, last, strict=True)]


def read_value(text: str) -> str:
    """A value as it was typed, without quotes; numbers to four digits."""
    try:
        number = float(text)
    except ValueError:
        return text.strip("'\"")
    return text if len(text) <= 6 else f"{number:.4g}"


def read_duration(seconds: float) -> str:
    """Seconds, or minutes and hours where there are many."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
