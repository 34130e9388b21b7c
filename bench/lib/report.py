"""The report: one HTML file with its plots as inline SVG. No script, no network."""
import html as text_html
import math
import statistics

import compare
import figures
import machine

COLOURS = ["#0b6e4f", "#b3541e", "#3d5a98", "#8a3a7b", "#6b6b00", "#666666", "#a11d33", "#1f7a8c"]
STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.2rem .6rem;
text-align:left;border-bottom:1px solid #ddd}td.n{text-align:right}pre{background:#f4f4f4;
padding:.8rem;overflow:auto}svg{max-width:100%;height:auto}.bad{color:#a11d33;font-weight:600}
.good{color:#0b6e4f}h2{margin-top:2.2rem}"""
esc = text_html.escape
WIDTH, LEFT, RIGHT = 860, 250, 20


def colour(index, series):
    return COLOURS[0] if series["part"] == "ours" else COLOURS[1 + index % (len(COLOURS) - 1)]


def rounds_plot(series):
    """One line a series, one dot a round, quartiles as a bar, the median as a stroke."""
    top = max(max(s["rounds"]) for s in series) or 1
    x = lambda v: LEFT + (WIDTH - LEFT - RIGHT) * v / top
    out = []
    for i, s in enumerate(series):
        y, c, q = 22 + 26 * i, colour(i, s), figures.spread(s["rounds"])
        out.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" font-size="12">'
                   f'{esc(s["name"])}</text>')
        width = max(x(q["q3"]) - x(q["q1"]), 1)
        out.append(f'<rect x="{x(max(q["q1"], 0)):.1f}" y="{y - 8}" width="{width:.1f}" '
                   f'height="16" fill="{c}" opacity=".25"/>')
        out += [f'<circle cx="{x(v):.1f}" cy="{y}" r="2.2" fill="{c}" opacity=".6"/>'
                for v in s["rounds"]]
        out.append(f'<line x1="{x(q["median"]):.1f}" x2="{x(q["median"]):.1f}" y1="{y - 9}" '
                   f'y2="{y + 9}" stroke="{c}" stroke-width="2.5"/>')
    bottom = 22 + 26 * len(series)
    for k in range(5):
        v = top * k / 4
        out.append(f'<text x="{x(v):.1f}" y="{bottom + 12}" text-anchor="middle" font-size="11" '
                   f'fill="#555">{v:.3g}</text>')
    return svg(bottom + 20, out, f"{series[0]['unit']}, one dot a round")


def curve(histogram):
    """(quantile, ns) at the end of each bucket."""
    seen, out = 0, []
    for upper, count in histogram["buckets"]:
        seen += count
        out.append((seen / histogram["count"], upper))
    return out


def latency_plot(series):
    """Latency by percentile; both axes logarithmic (1 / (1 - quantile) and ns)."""
    height, low = 300, 5.0
    high = max(max(s["histogram_ns"]["max"] for s in series), 10)
    nines = 5.0
    x = lambda q: 60 + (WIDTH - 90) * min(-math.log10(max(1 - q, 1e-9)), nines) / nines
    y = lambda ns: height - (height - 20) * math.log(max(ns, low) / low) / math.log(high / low)
    out = []
    for i, s in enumerate(series):
        c = colour(i, s)
        points = " ".join(f"{x(q):.1f},{y(ns):.1f}" for q, ns in curve(s["histogram_ns"]))
        out.append(f'<polyline points="{points}" fill="none" stroke="{c}" stroke-width="1.8"/>')
        out.append(f'<text x="70" y="{30 + 16 * i}" font-size="12" fill="{c}">'
                   f'{esc(s["name"])}</text>')
    for q, name in ((0, "p0"), (.9, "p90"), (.99, "p99"), (.999, "p99.9"), (.9999, "p99.99")):
        out.append(f'<text x="{x(q):.1f}" y="{height + 16}" text-anchor="middle" '
                   f'font-size="11">{name}</text>')
    for power in range(1, 10):
        if low < 10**power <= high:
            out.append(f'<line x1="60" x2="{WIDTH}" y1="{y(10**power):.1f}" '
                       f'y2="{y(10**power):.1f}" stroke="#ddd"/><text x="55" '
                       f'y="{y(10**power) + 4:.1f}" text-anchor="end" font-size="11">'
                       f'{10**power:,}</text>')
    return svg(height + 24, out, "ns by percentile, over all rounds")


def svg(height, parts, caption):
    return (f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" '
            f'aria-label="{esc(caption)}">{"".join(parts)}</svg><div><small>{esc(caption)}'
            '</small></div>')


def table(head, rows):
    cells = "".join(f"<th>{esc(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"


def cell(value, number=True, css=""):
    shown = f"{value:,.2f}" if isinstance(value, float) else str(value)
    return f'<td class="{"n" if number else ""} {css}">{esc(shown)}</td>'


def figure_table(all_figures):
    rows = []
    for f in all_figures:
        met = figures.met(f)
        css = "" if met is None else "good" if met else "bad"
        rows.append([cell(figures.what_of(f), False), cell(float(f["value"])), cell(f["unit"], False),
                     cell(f["against"], False), cell(float(f["other"])),
                     cell(float(f["ratio"]["median"])), cell(figures.range_text(f["ratio"])),
                     cell(figures.goal_text(f), False, css)])
    return table(["what", "ours", "", "against", "", "ratio", "95 %", "goal"], rows)


def group_section(group, series):
    out = [f"<h2>{esc(group)}</h2>"]
    rows = []
    for s in series:
        h = s.get("histogram_ns")
        quiet = f"{sum(s['undisturbed'])}/{len(s['undisturbed'])}"
        rows.append([cell(s["name"], False), cell(statistics.median(s["rounds"])),
                     cell(s["unit"], False), cell(quiet)]
                    + [cell(h[q] if h else "") for q in
                       ("p50", "p90", "p99", "p99.9", "p99.99", "max")])
    out.append(table(["", "median of rounds", "", "undisturbed", "p50 ns", "p90", "p99", "p99.9",
                      "p99.99", "max"], rows))
    with_histogram = [s for s in series if s.get("histogram_ns")]
    out.append(rounds_plot(series))
    if with_histogram:
        out.append(latency_plot(with_histogram))
    return "".join(out)


def html(result):
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>Millrace benchmarks</title>"
             f"<style>{STYLE}</style><h1>Millrace benchmarks</h1>"
             f"<pre>{esc(machine.text(result['machine']))}</pre>"]
    if result["errors"]:
        parts.append('<p class="bad">Failed: '
                     + esc(", ".join(e["part"] for e in result["errors"])) + "</p>")
    parts.append("<p>Limit, rivals and ours took turns round by round. Quote the ratios.</p>")
    parts.append(figure_table(result["figures"]))
    parts.append(f"<p>{esc(figures.places_text(result))}</p>")
    if result.get("against"):
        parts.append(f"<h2>Compared</h2><pre>{esc(compare.text(result['against']))}</pre>")
    groups = {}
    for s in result["series"]:
        groups.setdefault((s["bench"], s["group"]), []).append(s)
    parts += [group_section(group, series) for (_, group), series in groups.items()]
    return "\n".join(parts) + "</html>\n"
