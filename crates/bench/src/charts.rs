//! A benchmark as bar charts (SVG), with logarithmic axes: what is measured spans five orders of
//! magnitude. They are a template, like the charts of the compiler's report, which `plotters`
//! cannot draw: one way for both is enough.

use cryptflow_figures::table;
use maud::{Markup, html};

use super::Results;
use super::markdown::seconds;

const LEFT: f64 = 160.0;
const PLOT: f64 = 520.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 70.0;
const BAR: f64 = 14.0;
const GAP: f64 = 12.0;
const COLOURS: [&str; 5] = ["#9aa0a6", "#1a73e8", "#e8710a", "#188038", "#a142f4"];

/// The bars of a chart.
struct Chart<'a> {
    title: &'a str,
    /// Names of the bars of a group.
    series: Vec<String>,
    /// A group's name, and its bars' lengths; absent ones take their place all the same.
    groups: Vec<(String, Vec<Option<f64>>)>,
    show: fn(f64) -> String,
}

/// Bytes between the parties: published, and measured with each protocol.
pub fn bytes(results: &Results) -> String {
    let protocols = results.protocols();
    let groups = results.networks.iter().map(|n| {
        let published = n.published.as_ref().map(|p| p.bytes as f64);
        let measured = protocols.iter().map(|p| n.taken(p).map(|t| t.bytes as f64));
        (n.title.clone(), std::iter::once(published).chain(measured).collect())
    });
    let series = std::iter::once("published").chain(protocols.iter().copied());
    svg(&Chart {
        title: "Bytes between the parties, one inference",
        series: series.map(String::from).collect(),
        groups: groups.collect(),
        show: |b| table::bytes(b.round() as u64),
    })
}

/// Seconds of an inference with each protocol, and TensorFlow's in the clear where it was measured.
pub fn times(results: &Results) -> String {
    let protocols = results.protocols();
    let plain = results.networks.iter().any(|n| n.tensorflow_seconds.is_some());
    let groups = results.networks.iter().map(|n| {
        let published = n.published.as_ref().and_then(|p| p.seconds);
        let measured = protocols.iter().map(|p| n.taken(p).map(|t| t.median_seconds));
        let plain = plain.then_some(n.tensorflow_seconds);
        (n.title.clone(), std::iter::once(published).chain(measured).chain(plain).collect())
    });
    let series = std::iter::once("published")
        .chain(protocols.iter().copied())
        .chain(plain.then_some("TensorFlow, in the clear"));
    svg(&Chart {
        title: "Seconds of one inference",
        series: series.map(String::from).collect(),
        groups: groups.collect(),
        show: |s| format!("{} s", seconds(s)),
    })
}

fn svg(chart: &Chart<'_>) -> String {
    let group = BAR * chart.series.len() as f64 + GAP;
    let bottom = TOP + group * chart.groups.len() as f64;
    let (width, height) = (LEFT + PLOT + RIGHT, bottom + 30.0);
    let (low, high) = decades(chart);
    let x = |value: f64| LEFT + PLOT * (value.log10() - low) / (high - low);
    let powers = (0..=(high - low).round() as i32).map(|decade| low as i32 + decade);
    let page = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
            viewBox=(format_args!("0 0 {width} {height}")) font-family="sans-serif" font-size="11" {
            rect width=(width) height=(height) fill="#ffffff" {}
            text x="12" y="22" font-size="15" { (chart.title) }
            (legend(chart))
            @for power in powers {
                @let line = short(x(10f64.powi(power)));
                line x1=(line) y1=(TOP) x2=(line) y2=(bottom) stroke="#e0e0e0" {}
                text x=(line) y=(bottom + 16.0) text-anchor="middle" { (tick(chart, power)) }
            }
            @for (index, (name, bars)) in chart.groups.iter().enumerate() {
                @let top = TOP + GAP / 2.0 + group * index as f64;
                text x=(LEFT - 8.0) y=(short(top + (group - GAP) / 2.0 + 4.0)) text-anchor="end" { (name) }
                @for ((place, bar), colour) in bars.iter().enumerate().zip(COLOURS.iter().cycle()) {
                    @if let Some(value) = bar.filter(|v| *v > 0.0) {
                        @let (y, end) = (top + BAR * place as f64, x(value));
                        rect x=(LEFT) y=(short(y)) width=(short((end - LEFT).max(1.0))) height=(BAR - 2.0)
                            fill=(colour) {}
                        text x=(short(end + 4.0)) y=(short(y + BAR - 4.0)) { ((chart.show)(value)) }
                    }
                }
            }
        }
    };
    page.into_string() + "\n"
}

/// A place on the chart, to a tenth.
fn short(place: f64) -> String {
    format!("{place:.1}")
}

/// What the colours mean, above the plot.
fn legend(chart: &Chart<'_>) -> Markup {
    let names = chart.series.iter().zip(COLOURS.iter().cycle());
    let places = names.scan(12.0, |next, (name, colour)| {
        let at = *next;
        *next += 30.0 + 7.0 * name.chars().count() as f64;
        Some((at, name, colour))
    });
    html! {
        @for (at, name, colour) in places {
            rect x=(at) y="36" width="10" height="10" fill=(colour) {}
            text x=(at + 14.0) y="45" { (name) }
        }
    }
}

/// What a power of ten is called on the axis.
fn tick(chart: &Chart<'_>, power: i32) -> String {
    let text = (chart.show)(10f64.powi(power));
    // 1.00 MB is 1 MB there.
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// The powers of ten between which all bars end.
fn decades(chart: &Chart<'_>) -> (f64, f64) {
    let values = || chart.groups.iter().flat_map(|(_, bars)| bars.iter().flatten()).filter(|v| **v > 0.0);
    let low = values().copied().fold(f64::INFINITY, f64::min);
    let high = values().copied().fold(0.0, f64::max);
    if low > high {
        return (0.0, 1.0);
    }
    // The shortest bar is to be seen, too.
    let low = (low.log10() - 0.1).floor();
    (low, high.log10().ceil().max(low + 1.0))
}

#[cfg(test)]
#[path = "../tests/charts.rs"]
mod tests;
