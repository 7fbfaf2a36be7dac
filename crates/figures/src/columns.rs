//! Charts of columns, as SVG within a page: each column tells its numbers when it is pointed at,
//! and the page's style has the colours, light and dark. `plotters` draws neither, and `charming`
//! wants a script of 1 MB in every page; so the marks are written here, as a template.

use maud::{Markup, html};

/// How a series is drawn. None of them hides another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A bar from the axis.
    Bar,
    /// A bar on top of those of the series before it: its part of a whole.
    OnTop,
    /// A line across the column, in front of its bars: a limit, or the largest of what bars are means of.
    Line,
}

/// One kind of marks in [`columns`].
#[derive(Clone, Debug)]
pub struct Series {
    /// What they show.
    pub name: &'static str,
    /// Their class, for which the page has a colour.
    pub class: &'static str,
    /// How they are drawn.
    pub mark: Mark,
    /// Values, one for each column; absent ones leave it empty.
    pub values: Vec<Option<f64>>,
}

impl Series {
    /// What there is to be drawn of a column.
    fn value(&self, column: usize) -> Option<f64> {
        self.values.get(column).copied().flatten().filter(|v| v.is_finite() && *v > 0.0)
    }
}

/// A chart of columns.
#[derive(Clone, Debug)]
pub struct Columns<'a> {
    /// What it shows.
    pub title: &'a str,
    /// Names of the columns; shown below where there are few, and in tooltips.
    pub names: &'a [String],
    /// The marks of each column: bars first, lines after them.
    pub series: Vec<Series>,
    /// Whether the axis is one of powers of ten.
    pub logarithmic: bool,
    /// A value for people.
    pub show: fn(f64) -> String,
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 72.0;
const TOP: f64 = 34.0;
const PLOT: f64 = 190.0;
const BOTTOM: f64 = TOP + PLOT;
/// Columns whose names fit below.
const NAMED: usize = 40;
/// How thick the lines are.
const THICK: f64 = 2.5;
/// Characters of a name that fit below a column.
const NAME: usize = 24;

/// The chart, without colours of its own.
pub fn columns(chart: &Columns<'_>) -> Markup {
    let named = chart.names.len() <= NAMED;
    let longest = chart.names.iter().map(|name| name.chars().count().min(NAME)).max().unwrap_or(0);
    let below = if named { 12.0 + 4.6 * longest as f64 } else { 22.0 };
    let ticks = ticks(chart);
    let (low, high) = (ticks.first().copied().unwrap_or(0.0), ticks.last().copied().unwrap_or(1.0));
    let place = |v: f64| if chart.logarithmic { v.log10() } else { v };
    let y = |value: f64| {
        let part = (place(value) - place(low)) / (place(high) - place(low)).max(f64::MIN_POSITIVE);
        TOP + PLOT * (1.0 - part.clamp(0.0, 1.0))
    };
    html! {
        svg.columns viewBox=(format_args!("0 0 {WIDTH} {:.0}", BOTTOM + below)) role="img" aria-label=(chart.title)
            font-size="11" {
            (legend(chart))
            @for &tick in &ticks {
                line.grid x1=(LEFT) x2=(WIDTH) y1=(short(y(tick))) y2=(short(y(tick))) {}
                text x=(LEFT - 6.0) y=(short(y(tick) + 4.0)) text-anchor="end" { ((chart.show)(tick)) }
            }
            (bars(chart, named, y))
            @if !named {
                text x=(LEFT) y=(BOTTOM + 15.0) { "first layer" }
                text x=(WIDTH) y=(BOTTOM + 15.0) text-anchor="end" { "last" }
            }
        }
    }
}

/// A place on the chart, to a tenth.
fn short(place: f64) -> String {
    format!("{place:.1}")
}

/// What the colours mean, above the plot.
fn legend(chart: &Columns<'_>) -> Markup {
    let places = chart.series.iter().scan(LEFT, |next, series| {
        let at = *next;
        *next += 36.0 + 6.2 * series.name.chars().count() as f64;
        Some((at, series))
    });
    html! {
        @for (at, series) in places {
            @match series.mark {
                Mark::Bar | Mark::OnTop => {
                    rect class=(series.class) x=(format_args!("{at:.0}")) y="8" width="10" height="10" {}
                }
                Mark::Line => { rect class=(series.class) x=(format_args!("{at:.0}")) y="12" width="10" height=(THICK) {} }
            }
            text x=(format_args!("{:.0}", at + 15.0)) y="17" { (series.name) }
        }
    }
}

/// What the marks of a column reach up to.
fn reaches<'a>(chart: &'a Columns<'_>, column: usize) -> Vec<(&'a Series, f64)> {
    let mut whole = 0.0;
    let marks = chart.series.iter().filter_map(|series| {
        let value = series.value(column)?;
        let reach = if series.mark == Mark::OnTop { whole + value } else { value };
        if series.mark != Mark::Line {
            whole = reach;
        }
        Some((series, reach))
    });
    marks.collect()
}

/// The marks of a column with their upper and lower ends on the chart. A bar is never too low to be
/// seen.
fn placed<'a>(chart: &'a Columns<'_>, column: usize, y: impl Fn(f64) -> f64) -> Vec<(&'a Series, f64, f64)> {
    let mut below = BOTTOM;
    let marks = reaches(chart, column).into_iter().map(|(series, reach)| {
        let bottom = match series.mark {
            Mark::Line => return (series, y(reach) - THICK / 2.0, y(reach) + THICK / 2.0),
            Mark::Bar => BOTTOM,
            Mark::OnTop => below,
        };
        below = y(reach).min(bottom - 1.0);
        (series, below, bottom)
    });
    marks.collect()
}

/// The columns, their tooltips, and their names where these fit.
fn bars(chart: &Columns<'_>, named: bool, y: impl Fn(f64) -> f64) -> Markup {
    let step = (WIDTH - LEFT) / chart.names.len().max(1) as f64;
    let wide = (step * 0.7).clamp(0.5, 40.0);
    // Lines jut out, so that they are seen beside a bar that ends where they lie; those of many
    // columns are one line.
    let across = if named { (wide * 1.3).min(step) } else { step };
    let under = BOTTOM + 12.0;
    html! {
        @for (i, name) in chart.names.iter().enumerate() {
            @let middle = LEFT + step * (i as f64 + 0.5);
            g {
                title { (name) @for text in describe_column(chart, i) { "\n" (text) } }
                // What is pointed at is the column, not only its marks.
                rect.all x=(short(middle - step / 2.0)) y=(short(TOP)) width=(short(step)) height=(short(PLOT)) {}
                @for (series, top, bottom) in placed(chart, i, &y) {
                    @let wide = if series.mark == Mark::Line { across } else { wide };
                    rect class=(series.class) x=(short(middle - wide / 2.0)) y=(short(top)) width=(short(wide))
                        height=(short(bottom - top)) {}
                }
            }
            @if named {
                text x=(short(middle)) y=(short(under)) text-anchor="end" font-size="10"
                    transform=(format_args!("rotate(-50 {middle:.1} {under:.1})")) { (end(name)) }
            }
        }
    }
}

/// What a column says when it is pointed at.
fn describe_column(chart: &Columns<'_>, column: usize) -> Vec<String> {
    let values = chart.series.iter().filter_map(|s| Some((s.name, (*s.values.get(column)?)?)));
    values.map(|(name, value)| format!("{name}: {}", (chart.show)(value))).collect()
}

/// The end of a name that is too long.
fn end(name: &str) -> String {
    match name.char_indices().rev().nth(NAME - 1) {
        Some((from, _)) if from > 0 => format!("…{}", name.get(from..).unwrap_or_default()),
        _ => name.to_owned(),
    }
}

/// Where the axis has lines: powers of ten, or some round numbers from zero on.
fn ticks(chart: &Columns<'_>) -> Vec<f64> {
    let values = || (0..chart.names.len()).flat_map(|column| reaches(chart, column)).map(|(_, reach)| reach);
    let largest = values().fold(0.0, f64::max);
    if largest <= 0.0 {
        return vec![if chart.logarithmic { 0.1 } else { 0.0 }, 1.0];
    }
    if chart.logarithmic {
        let smallest = values().fold(f64::INFINITY, f64::min);
        let high = largest.log10().ceil() as i32;
        // Whatever is many orders smaller is a bar at the bottom.
        let low = (smallest.log10().floor() as i32).clamp(high - 9, high - 1);
        return (low..=high).map(|power| 10f64.powi(power)).collect();
    }
    let rough = largest / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|m| m * power).find(|s| *s >= rough).unwrap_or(10.0 * power);
    let count = (largest / step).ceil() as usize;
    (0..=count).map(|i| i as f64 * step).collect()
}
