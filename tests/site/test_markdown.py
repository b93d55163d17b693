"""What is read out of Markdown, compared with a parser of CommonMark where there is one for it."""

import pytest
from markdown_it import MarkdownIt

from okkhor.site.markdown import anchors, links, slugify, with_targets, without_code

PAGE = """# Title

A [link](a.md), a [titled](b.md#x "T"), a ![picture](c.png), [![both](d.png)](e.md), <https://f.example.org> and
https://g.example.org/h_(i).

`[no](j.md)` ``a ` [no](k.md)`` and [brackets](l_(m).md).

~~~sh
[no](n.md)
~~~

````md
```
[no](o.md)
```
````

[by reference][r] <!-- [no](p.md) -->

[r]: q.md
"""


def test_links_are_those_of_commonmark():
    host = MarkdownIt("commonmark").parse(PAGE)
    inline = [child for token in host for child in token.children or []]
    expected = {
        str(child.attrs.get("href") or child.attrs.get("src"))
        for child in inline
        if child.type in ("link_open", "image")
    }
    for child in inline:  # a picture in a link
        expected |= {str(inner.attrs["src"]) for inner in child.children or [] if inner.type == "image"}
    found = {link.target for link in links(PAGE)}
    assert found - expected == {"https://g.example.org/h_"}  # bare addresses are links on Git hosts alone
    assert expected - found == set()


def test_lines_are_told():
    assert [link.line for link in links("a\n[b](c)\n\n```\n[d](e)\n```\n[f](g)")] == [2, 7]


def test_targets_are_replaced_where_they_stand_and_nowhere_else():
    text = "`[a](x.md)` [a](x.md) x.md ![b](x.md 'no title')\n[c]: x.md"
    assert with_targets("`[a](x.md)` [a](x.md) x.md\n\n[c]: x.md", str.upper) == (
        "`[a](x.md)` [a](X.MD) x.md\n\n[c]: X.MD"
    )
    assert len(without_code(text)) == len(text)


@pytest.mark.parametrize(
    ("heading", "slug"),
    [
        ("Bring your own", "bring-your-own"),
        ("Runs, jobs & places", "runs-jobs--places"),
        ("`make docs` and [a link](x.md)", "make-docs-and-a-link"),
        ("한국어 제목", "한국어-제목"),
        ("অক্ষর", "অক্ষর"),
        ("snake_case, 3b", "snake_case-3b"),
    ],
    ids=["words", "signs", "code", "korean", "bengali", "underscore"],
)
def test_slugs_are_those_of_git_hosts(heading, slug):
    assert slugify(heading) == slug


def test_headings_that_are_the_same_are_numbered_and_blocks_of_code_have_none():
    assert anchors("# A\n\n## A\n\n## `code`\n\n```sh\n# no\n```\n\n<a id='no'></a><a id=\"yes\"></a>") == {
        "a",
        "a-1",
        "code",
        "yes",
    }
