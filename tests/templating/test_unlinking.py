"""Links to what stayed behind become text; the others are left as they are."""

from okkhor.templating.unlinking import unlink_pages

PAGE = """# Page

[here](there.md#two-words) and [gone](gone.md), [no heading](there.md#three), [out](../../x.md),
[web](https://a.example), [`code` in
a label](gone.md "title") ![picture](images/gone.png)![kept](images/kept.png)
[![both](images/gone.png)](gone.md) [self](#page)

```sh
[left](gone.md)
```
"""


def test_what_leads_nowhere_is_text(tmp_path):
    docs = tmp_path / "docs"
    (docs / "images").mkdir(parents=True)
    for name in ("kept.png", "unseen.png", "logo.svg"):
        (docs / "images" / name).write_bytes(b"")
    (tmp_path / "mkdocs.yml").write_text("logo: images/logo.svg")
    (docs / "there.md").write_text("# Two words\n")
    (docs / "page.md").write_text(PAGE)
    unlink_pages(tmp_path)
    expected = """# Page

[here](there.md#two-words) and gone, no heading, out,
[web](https://a.example), `code` in
a label ![kept](images/kept.png)
 [self](#page)

```sh
[left](gone.md)
```
"""
    assert (docs / "page.md").read_text() == expected
    assert sorted(path.name for path in (docs / "images").iterdir()) == ["kept.png", "logo.svg"]
