//! What charts share.

use std::fmt::Write;

/// Text as it stands in XML and HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// One kind of bars in [`columns`].
#[derive(Clone, Debug)]
pub struct Series {
    /// What the bars show.
    pub name: &'static str,
    /// The class of its bars, for which the page has a colour.
    pub class: &'static str,
    /// Lengths, one for each column; absent ones leave it empty.
    pub values: Vec<Option<f64>>,
}

/// A chart of columns, one behind the other where there are several series: later ones are in front.
#[derive(Clone, Debug)]
pub struct Columns<'a> {
    /// What it shows.
    pub title: &'a str,
    /// Names of the columns; shown below where there are few, and in tooltips.
    pub names: &'a [String],
    /// The bars.
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
/// Columns whose names fit below.
const NAMED: usize = 40;

/// The chart as SVG without colours of its own: the page's style has them.
pub fn columns(chart: &Columns<'_>) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_columns(&mut out, chart);
    out
}

fn write_columns(out: &mut String, chart: &Columns<'_>) -> std::fmt::Result {
    let n = chart.names.len();
    let named = n <= NAMED;
    let longest = chart.names.iter().map(|name| name.chars().count().min(24)).max().unwrap_or(0);
    let below = if named { 12.0 + 4.6 * longest as f64 } else { 22.0 };
    let height = TOP + PLOT + below;
    let ticks = ticks(chart);
    let (low, high) = (ticks.first().copied().unwrap_or(0.0), ticks.last().copied().unwrap_or(1.0));
    let place = |v: f64| if chart.logarithmic { v.log10() } else { v };
    let y = |value: f64| {
        let part = (place(value) - place(low)) / (place(high) - place(low)).max(f64::MIN_POSITIVE);
        TOP + PLOT * (1.0 - part.clamp(0.0, 1.0))
    };
    writeln!(
        out,
        r#"<svg viewBox="0 0 {WIDTH} {height:.0}" role="img" aria-label="{}" font-size="11">"#,
        escaped(chart.title)
    )?;
    let mut at = LEFT;
    for series in &chart.series {
        writeln!(out, r#"<rect class="{}" x="{at:.0}" y="8" width="10" height="10"/>"#, series.class)?;
        writeln!(out, r#"<text x="{:.0}" y="17">{}</text>"#, at + 15.0, escaped(series.name))?;
        at += 36.0 + 6.2 * series.name.chars().count() as f64;
    }
    for &tick in &ticks {
        let line = y(tick);
        writeln!(
            out,
            r#"<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{line:.1}" y2="{line:.1}"/><text x="{:.0}" y="{:.1}" text-anchor="end">{}</text>"#,
            LEFT - 6.0,
            line + 4.0,
            escaped(&(chart.show)(tick))
        )?;
    }
    let step = (WIDTH - LEFT) / n.max(1) as f64;
    let wide = (step * 0.78).clamp(0.5, 40.0);
    for (i, name) in chart.names.iter().enumerate() {
        let middle = LEFT + step * (i as f64 + 0.5);
        let told: Vec<String> = chart
            .series
            .iter()
            .filter_map(|s| Some(format!("{}: {}", s.name, (chart.show)((*s.values.get(i)?)?))))
            .collect();
        writeln!(out, "<g><title>{}</title>", escaped(&format!("{name}\n{}", told.join("\n"))))?;
        for series in &chart.series {
            let Some(value) = series.values.get(i).copied().flatten().filter(|v| v.is_finite()) else {
                continue;
            };
            if value <= 0.0 {
                continue;
            }
            let top = y(value).min(TOP + PLOT - 1.0);
            writeln!(
                out,
                r#"<rect class="{}" x="{:.1}" y="{top:.1}" width="{wide:.1}" height="{:.1}"/>"#,
                series.class,
                middle - wide / 2.0,
                TOP + PLOT - top
            )?;
        }
        writeln!(out, "</g>")?;
        if named {
            let short: String = match name.char_indices().rev().nth(23) {
                Some((from, _)) if from > 0 => format!("…{}", name.get(from..).unwrap_or_default()),
                _ => name.clone(),
            };
            let bottom = TOP + PLOT + 12.0;
            writeln!(
                out,
                r#"<text x="{middle:.1}" y="{bottom:.1}" text-anchor="end" transform="rotate(-50 {middle:.1} {bottom:.1})" font-size="10">{}</text>"#,
                escaped(&short)
            )?;
        }
    }
    if !named {
        let bottom = TOP + PLOT + 15.0;
        writeln!(out, r#"<text x="{LEFT}" y="{bottom}">first layer</text>"#)?;
        writeln!(out, r#"<text x="{WIDTH}" y="{bottom}" text-anchor="end">last</text>"#)?;
    }
    writeln!(out, "</svg>")
}

/// Where the axis has lines: powers of ten, or some round numbers from zero on.
fn ticks(chart: &Columns<'_>) -> Vec<f64> {
    let values = || {
        chart
            .series
            .iter()
            .flat_map(|s| s.values.iter().flatten())
            .copied()
            .filter(|v| v.is_finite() && *v > 0.0)
    };
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
