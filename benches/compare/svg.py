"""A small writer of SVG: text, bars and lines on a ground of its own, readable in light and in dark."""
from xml.sax.saxutils import escape, quoteattr

# Each class has a colour by day and by night, as a pair.
COLOURS = {"ground": ("#ffffff", "#0d1117"), "ink": ("#1f2328", "#e6edf3"), "faint": ("#59636e", "#9198a1"), "grid": ("#d1d9e0", "#3d444d"),
           "ours": ("#0969da", "#58a6ff"), "second": ("#bc4c00", "#f0883e"), "peer": ("#afb8c1", "#6e7681"), "limit": ("#cf222e", "#ff7b72")}
FONT = "font-family: system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"


def style():
    rules = lambda night: " ".join(f".{name} {{ fill: {pair[night]} }} .{name}-line {{ stroke: {pair[night]} }}" for name, pair in COLOURS.items())
    # Figures stay readable where a line crosses them.
    halo = "paint-order: stroke; stroke-width: 3px; stroke-linejoin: round"
    return f"text {{ {FONT}; {halo} }} path, line {{ fill: none }} {rules(0)} @media (prefers-color-scheme: dark) {{ {rules(1)} }}"


class Picture:
    """A drawing of a size in pixels, with a title that is also read aloud."""

    def __init__(self, width, height, title):
        self.width, self.height, self.title, self.parts = width, height, title, []
        self.rect(0, 0, width, height, "ground")

    def add(self, name, body=None, **attributes):
        said = "".join(f" {key.replace('_', '-')}={quoteattr(number(value))}" for key, value in attributes.items())
        self.parts.append(f"<{name}{said}/>" if body is None else f"<{name}{said}>{escape(body)}</{name}>")

    def rect(self, x, y, width, height, kind, round=0):
        self.add("rect", x=x, y=y, width=width, height=height, rx=round, **{"class": kind})

    def text(self, x, y, words, kind="ink", anchor="start", size=12, weight="normal"):
        self.add("text", words, x=x, y=y, text_anchor=anchor, font_size=size, font_weight=weight, **{"class": f"{kind} ground-line"})

    def line(self, x1, y1, x2, y2, kind="grid", width=1, dashes=None):
        more = {"stroke_dasharray": dashes} if dashes else {}
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke_width=width, **{"class": f"{kind}-line"}, **more)

    def path(self, points, kind, width=2):
        """A line through points."""
        self.add("path", d="M" + " L".join(f"{number(x)} {number(y)}" for x, y in points), stroke_width=width, **{"class": f"{kind}-line"})

    def dot(self, x, y, kind, radius=4):
        self.add("circle", cx=x, cy=y, r=radius, **{"class": kind})

    def render(self):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(self.width)} {number(self.height)}" width="{number(self.width)}"'
                f' height="{number(self.height)}" role="img" aria-label={quoteattr(self.title)}>')
        return "\n".join([head, f"<title>{escape(self.title)}</title>", f"<style>{style()}</style>", *self.parts, "</svg>", ""])


def number(value):
    """Coordinates to a tenth of a pixel, so that a drawing is the same everywhere."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
