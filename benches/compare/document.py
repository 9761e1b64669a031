"""docs/BENCHMARKS.md: what is measured stands between markers and is written anew, all else is kept as it was written by hand."""
import re


def marked(name, body):
    return f"<!-- measured: {name} -->\n\n{body.strip()}\n\n<!-- end of {name} -->"


def filled(text, blocks):
    """The document with each named block replaced. Raises `KeyError` for a block that it has no place for."""
    for name, body in blocks.items():
        place = re.compile(f"<!-- measured: {re.escape(name)} -->.*?<!-- end of {re.escape(name)} -->", re.DOTALL)
        if len(place.findall(text)) != 1:
            raise KeyError(f"the document must have one place for {name}: {marked(name, '…')}")
        text = place.sub(lambda _: marked(name, body), text)
    return text
