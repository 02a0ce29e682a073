"""Untrusted text in Markdown: displayed literally, never interpreted."""

import html
import re

_MARKDOWN = re.compile(r"([\\`*_\[\]|~#!])")


def markdown(text: str) -> str:
    r"""Return Markdown that displays a text literally, inside tables too.

    HTML becomes entities, Markdown's special characters are escaped, and addresses do not become
    links, mentions or formulae.

    Examples
    --------
    >>> print(markdown("<b>[x](http://y.z)</b> | $a$"))
    &lt;b&gt;\[x\](http&#58;//y.z)&lt;/b&gt; \| &#36;a&#36;
    """
    text = html.escape(_MARKDOWN.sub(r"\\\1", text), quote=True)
    text = text.replace("://", "&#58;//").replace("www.", "www&#46;")
    return text.replace("$", "&#36;").replace("@", "&#64;")
