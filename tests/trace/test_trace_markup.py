from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.trace.markup import Html, element, escape, fragment, trusted
from mmagent.trace.words import visible

anything = st.text(st.characters(exclude_categories=[]))


@given(anything, anything)
def test_text_comes_out_as_the_text_it_was(content: str, attribute: str) -> None:
    written = element("p", content, title=attribute)
    assert unescape(written.removeprefix("<p ")).startswith(f'title="{visible(attribute)}">')
    assert unescape(written).endswith(f">{visible(content)}</p>")
    assert written.count("<") == 2


@given(anything)
def test_escaped_text_holds_no_markup_and_nothing_that_reorders_or_breaks_the_page(content: str) -> None:
    written = escape(content)
    assert not set("<>\"'") & set(written)
    assert not any(0x202A <= ord(sign) <= 0x202E or 0x2066 <= ord(sign) <= 0x2069 for sign in written)
    written.encode("utf-8")


def test_markup_that_was_joined_or_formatted_is_text_again() -> None:
    bold = element("b", "x")
    assert isinstance(bold, Html)
    assert fragment(bold) == "<b>x</b>"
    for joined in (bold + bold, f"{bold}", "".join([bold, "y"]), bold.upper(), "%s" % bold):  # noqa: UP031  # formatting is the case
        assert "<" not in fragment(joined)


def test_children_may_be_nested_and_absent() -> None:
    assert element("p", ["a", None, [1, 2.5, element("br")]]) == "<p>a12.5<br></p>"


def test_attributes_that_are_none_or_false_are_left_out() -> None:
    assert (
        element("td", colspan=2, hidden=False, open=True, title=None, data_x="")
        == '<td colspan="2" open data-x=""></td>'
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"onclick": "x()"},
        {"OnClick": "x()"},
        {"srcdoc": "<p>"},
        {"href": "javascript:x()"},
        {"href": "https://example.org/"},
        {"src": "//example.org/a.png"},
        {"src": "data:text/html;base64,PHA+"},
        {"src": "data:image/svg+xml,<svg onload=x()>"},
        {"a b": "c"},
    ],
)
def test_attributes_that_could_run_or_fetch_are_refused(attributes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"not allowed|may point|not an"):
        element("a", **attributes)


@pytest.mark.parametrize("tag", ["script", "style", "SCRIPT", "a b", "a>", ""])
def test_plain_strings_become_neither_scripts_nor_element_names(tag: str) -> None:
    with pytest.raises(ValueError, match=r"trusted markup|not an element name"):
        element(tag, "x")


def test_trusted_markup_stays_as_it_is() -> None:
    assert element("style", trusted("a > b {}")) == "<style>a > b {}</style>"
