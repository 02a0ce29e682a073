"""Foreign text in Markdown: shown as it reads, obeyed in nothing."""

import html
import re

_MARKDOWN = re.compile(r"([\\`*_\[\]|~#!])")


def markdown(text: str) -> str:
    r"""Return a text as Markdown that shows it, inside a table too.

    HTML becomes entities, Markdown's own characters are escaped, and addresses are kept from
    becoming links, mentions or formulae.

    Examples
    --------
    >>> print(markdown("<b>[x](http://y.z)</b> | $a$"))
    &lt;b&gt;\[x\](http&#58;//y.z)&lt;/b&gt; \| &#36;a&#36;
    """
    text = html.escape(_MARKDOWN.sub(r"\\\1", text), quote=True)
    text = text.replace("://", "&#58;//").replace("www.", "www&#46;")
    return text.replace("$", "&#36;").replace("@", "&#64;")
