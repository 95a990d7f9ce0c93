# SPDX-License-Identifier: Apache-2.0
"""The page's own plots, for hover, zoom and filter: Bokeh figures that are empty until the page's script fills them."""

from bokeh.embed import components
from bokeh.models import ColorBar, ColumnDataSource, HoverTool, LinearColorMapper
from bokeh.palettes import Cividis256
from bokeh.plotting import figure

_TOOLS = "xpan,xwheel_zoom,box_zoom,reset"


def plots() -> tuple[str, dict[str, str]]:
    """The script that makes them, and for each name the element in which it appears."""
    made = {"layers": _layers(), "spread": _spread(), "step": _step()}
    made["links"], made["shares"] = _links()
    made["map"] = _map()
    for plot in made.values():
        plot.toolbar.logo = None
        plot.background_fill_alpha = plot.border_fill_alpha = 0
        plot.outline_line_color = None
        plot.min_border_left, plot.min_border_right = 70, 12
    return components(made)  # type: ignore[no-any-return]


def _new(name: str, x: str, y: str, height: int, **options: object) -> figure:
    return figure(
        name=name, x_axis_label=x, y_axis_label=y, height=height, sizing_mode="stretch_width", tools=_TOOLS, **options
    )


def _source(name: str, *columns: str) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns}, name=name)


def _layers() -> figure:
    plot = _new("layers-plot", "virtual time in s", "latency of a layer in ms", 320)
    source = _source("layers", "x", "y", "colour", "case", "whose", "layer", "device")
    points = plot.scatter("x", "y", color="colour", size=5, alpha=0.55, line_color=None, source=source)
    tips = [
        ("", "@case"),
        ("latency", "@y{0.0} ms"),
        ("of", "@whose"),
        ("layer", "@layer"),
        ("ended by", "@device"),
    ]
    plot.add_tools(HoverTool(renderers=[points], tooltips=tips))
    return plot


def _spread() -> figure:
    plot = _new("spread-plot", "latency of a layer in ms", "share", 320, y_range=(0, 1))
    source = _source("spread", "xs", "ys", "colour", "case")
    lines = plot.multi_line("xs", "ys", color="colour", line_width=2, source=source)
    plot.add_tools(
        HoverTool(renderers=[lines], tooltips=[("", "@case"), ("latency", "$x{0.0} ms"), ("share", "$y{0%}")])
    )
    return plot


def _step() -> figure:
    plot = _new("step-plot", "ms since the departure", "", 300, y_range=[""])
    source = _source("step", "device", "left", "right", "colour", "part", "took")
    bars = plot.hbar("device", left="left", right="right", height=0.7, color="colour", source=source)
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[("", "@device, @part"), ("took", "@took{0.00} ms")]))
    ends = _source("step-end", "x", "device", "kind")
    plot.text("x", "device", "kind", text_baseline="middle", x_offset=4, text_font_size="14px", text_color="#D55E00",
              source=ends)  # fmt: skip
    return plot


def _links() -> tuple[figure, figure]:
    upper = _new("links-plot", "", "", 300)
    source = _source("links", "xs", "ys", "colour", "device")
    lines = upper.multi_line("xs", "ys", color="colour", line_width=1.5, hover_line_width=3, source=source)
    upper.add_tools(
        HoverTool(renderers=[lines], tooltips=[("", "@device"), ("at", "$x{0.000} s"), ("value", "$y{0.00}")])
    )
    befell = _source("marks", "x", "text")
    spans = upper.vspan("x", line_color="#7F7F7F", line_dash="dashed", line_width=1, source=befell)
    upper.add_tools(HoverTool(renderers=[spans], tooltips=[("", "@text"), ("at", "@x{0.000} s")]))
    lower = _new("shares-plot", "virtual time in s", "tokens sent, %", 200, x_range=upper.x_range, y_range=(0, 100))
    shares = _source("shares", "left", "right", "bottom", "top", "colour", "device", "share")
    parts = lower.quad("left", "right", "top", "bottom", color="colour", line_color=None, source=shares)
    lower.add_tools(HoverTool(renderers=[parts], tooltips=[("", "@device"), ("share", "@share{0.0}%")]))
    return upper, lower


def _map() -> figure:
    plot = _new("map-plot", "x in m", "y in m", 460, x_range=(0, 1), y_range=(0, 1))
    colours = LinearColorMapper(name="map-colours", palette=Cividis256, low=0, high=1, nan_color="#9A9A9A")
    ways = _source("map-tracks", "xs", "ys", "dash")
    plot.multi_line("xs", "ys", color="#9A9A9A", line_width=1, line_dash="dash", source=ways)
    sectors = _source("map-sectors", "x0", "y0", "x1", "y1")
    plot.segment("x0", "y0", "x1", "y1", color="#D55E00", line_width=1.5, source=sectors)
    sites = _source("map-sites", "x", "y", "name", "fill")
    towers = plot.scatter("x", "y", marker="triangle", size=12, color="#D55E00", fill_alpha="fill", source=sites)
    had = _source("map-had", "x", "y", "device", "sinr", "time")
    points = plot.scatter("x", "y", size=6, line_color=None, source=had, color={"field": "sinr", "transform": colours})
    now = _source("map-now", "x", "y", "user", "sinr", "marker", "size")
    users = plot.scatter("x", "y", marker="marker", size="size", line_color="#7F7F7F", line_width=1.5, source=now,
                         fill_color={"field": "sinr", "transform": colours})  # fmt: skip
    plot.text("x", "y", "user", x_offset=8, y_offset=-4, text_font_size="11px", text_color="#7F7F7F", source=now)
    place = ("at", "(@x{0.0}, @y{0.0}) m")
    plot.add_tools(
        HoverTool(renderers=[points], tooltips=[("", "@device, @time{0.000} s"), place, ("SINR", "@sinr{0.0} dB")]),
        HoverTool(renderers=[users], tooltips=[("", "@user, now"), place, ("SINR", "@sinr{0.0} dB")]),
        HoverTool(renderers=[towers], tooltips=[("", "@name"), place]),
    )
    plot.add_layout(
        ColorBar(name="map-bar", color_mapper=colours, title="dB", width=10, background_fill_alpha=0), "right"
    )
    return plot
