//! The compiler's report as a page of HTML: one file that needs nothing else.

use std::fmt::Write;

use cryptflow_athos::fix::report::{CompileReport, LayerReport};
use cryptflow_engine::Estimate;
use cryptflow_party::ProtocolName;
use cryptflow_program::{Operation, Program};

use cryptflow_figures::columns::{Columns, Series, columns, escaped};
use cryptflow_figures::table::{bytes, count, shape};

/// What the page is about, beside the report.
pub struct Subject<'a> {
    /// The compiled program.
    pub program: &'a Program,
    /// What the compiler decided and measured.
    pub report: &'a CompileReport,
    /// What the program costs in Mirror.
    pub cost: &'a Estimate,
    /// Where the model came from.
    pub source: String,
    /// Options that were given, as they were written.
    pub options: Vec<(String, String)>,
}

/// A layer, with what it costs in Mirror.
struct Line<'a> {
    layer: &'a LayerReport,
    dealt: u64,
    online: u64,
    rounds: u64,
}

/// The page.
pub fn html(subject: &Subject<'_>) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut out, subject);
    out
}

fn write_page(out: &mut String, subject: &Subject<'_>) -> std::fmt::Result {
    let name = escaped(&subject.program.name);
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{name}: compiled</title>\n<style>{STYLE}</style></head><body>\n<h1>{name}</h1>"
    )?;
    summary(out, subject)?;
    warnings(out, &subject.report.warnings)?;
    trials(out, subject)?;
    let lines = lines(subject);
    charts(out, &lines)?;
    largest(out, &lines)?;
    functions(out, subject.report)?;
    layers(out, &lines)?;
    writeln!(out, "<script>{SORT}</script>\n</body></html>")
}

/// Layers are the steps that are neither movements nor changes of ring, which count for the layer before them.
fn lines<'a>(subject: &'a Subject<'_>) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    let mut before = (0, 0, 0);
    let dealer = ProtocolName::Mirror.dealer();
    let mut layers = subject.report.layers.iter();
    for (step, cost) in subject.program.steps.iter().zip(&subject.cost.steps) {
        let own = (cost.dealt(dealer), cost.online(dealer), cost.rounds);
        let passes = matches!(step.operation, Operation::Widen | Operation::Movement(_));
        match (passes, lines.last_mut()) {
            (true, Some(line)) => {
                line.dealt += own.0;
                line.online += own.1;
                line.rounds += own.2;
            }
            (true, None) => before = (before.0 + own.0, before.1 + own.1, before.2 + own.2),
            (false, _) => {
                let Some(layer) = layers.next() else { break };
                let (dealt, online, rounds) = (own.0 + before.0, own.1 + before.1, own.2 + before.2);
                before = (0, 0, 0);
                lines.push(Line { layer, dealt, online, rounds });
            }
        }
    }
    lines
}

fn summary(out: &mut String, subject: &Subject<'_>) -> std::fmt::Result {
    let (report, total, dealer) = (subject.report, &subject.cost.total, ProtocolName::Mirror.dealer());
    let mut rows = vec![("model", subject.source.clone())];
    rows.push((
        "size",
        format!(
            "{} layers, {} parameters, {} multiplications; at most {} values at a time",
            report.layers.len(),
            count(report.parameters),
            count(report.macs),
            count(report.peak_elements)
        ),
    ));
    rows.push(("scale", format!("{} fractional bits: {}", report.scale, report.scale_reason)));
    rows.push(("ring", format!("{} bits: {}", report.ring_bits, report.ring_reason)));
    rows.push((
        "bounds",
        match report.examples {
            0 => "worst cases, from the range of the inputs".into(),
            n => format!("from {n} examples, with a margin of {} bits", report.margin_bits),
        },
    ));
    if let Some(a) = &report.agreement {
        let choices = match a.rows {
            0 => String::new(),
            rows => format!("{} of {rows} rows have the same arg-max; ", rows - a.flips.min(rows)),
        };
        rows.push((
            "agreement with the float model",
            format!(
                "{choices}largest error of an output {:.2e} ({:.2e} is allowed)",
                a.largest_error, a.tolerance
            ),
        ));
    }
    rows.push((
        "cost of a run in Mirror",
        format!(
            "{} ({} dealt ahead, {} online), {} rounds",
            bytes(total.total()),
            bytes(total.dealt(dealer)),
            bytes(total.online(dealer)),
            total.rounds
        ),
    ));
    let options: Vec<String> =
        subject.options.iter().map(|(name, value)| format!("--{name} {value}")).collect();
    rows.push(("options", if options.is_empty() { "none".into() } else { options.join(" ") }));
    writeln!(out, "<table class=\"facts\">")?;
    for (name, text) in rows {
        writeln!(out, "<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(&text))?;
    }
    writeln!(out, "</table>")
}

fn warnings(out: &mut String, warnings: &[String]) -> std::fmt::Result {
    if warnings.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Warnings</h2>\n<ul class=\"warnings\">")?;
    for warning in warnings {
        writeln!(out, "<li>{}</li>", escaped(warning))?;
    }
    writeln!(out, "</ul>")
}

fn trials(out: &mut String, subject: &Subject<'_>) -> std::fmt::Result {
    let mut trials = subject.report.trials.clone();
    if trials.is_empty() {
        return Ok(());
    }
    trials.sort_by_key(|t| (t.ring_bits, t.scale));
    writeln!(
        out,
        "<h2>Accuracy at each scale</h2>\n<p>Programs that the search ran on the examples beside the float model. The smallest scale (and \
         ring) that agrees is taken.</p>"
    )?;
    let names: Vec<String> =
        trials.iter().map(|t| format!("{} bits, ring {}", t.scale, t.ring_bits)).collect();
    let series = vec![
        Series {
            name: "largest error of an output",
            class: "one",
            values: trials.iter().map(|t| t.problem.is_none().then_some(t.largest_error)).collect(),
        },
        Series {
            name: "allowed",
            class: "two",
            values: trials.iter().map(|t| t.problem.is_none().then_some(t.tolerance)).collect(),
        },
    ];
    // The smaller one of a pair is in front only where it is drawn later: a table says the rest.
    let chart =
        Columns { title: "Error at each scale", names: &names, series, logarithmic: true, show: number };
    if trials.len() > 1 {
        out.push_str(&columns(&chart));
    }
    writeln!(
        out,
        "<table class=\"sortable\"><thead><tr><th>scale</th><th>ring</th><th>largest error</th><th>allowed</th>\
         <th>other arg-max</th><th></th></tr></thead><tbody>"
    )?;
    for t in &trials {
        let chosen = t.scale == subject.report.scale && t.ring_bits == subject.report.ring_bits;
        let verdict = match (&t.problem, t.agrees) {
            (Some(problem), _) => problem.clone(),
            (None, true) if chosen => "agrees: chosen".into(),
            (None, true) => "agrees".into(),
            (None, false) => "too coarse".into(),
        };
        let measured = |v: f64| if t.problem.is_some() { String::new() } else { number(v) };
        let rows = if t.problem.is_some() { String::new() } else { format!("{} of {}", t.flips, t.rows) };
        writeln!(
            out,
            "<tr{}><td>{}</td><td>{}</td><td data-v=\"{:e}\">{}</td><td>{}</td><td>{rows}</td><td class=\"text\">{}</td></tr>",
            if chosen { " class=\"chosen\"" } else { "" },
            t.scale,
            t.ring_bits,
            t.largest_error,
            measured(t.largest_error),
            measured(t.tolerance),
            escaped(&verdict)
        )?;
    }
    writeln!(out, "</tbody></table>")
}

fn charts(out: &mut String, lines: &[Line<'_>]) -> std::fmt::Result {
    let names: Vec<String> = lines.iter().map(|l| l.layer.name.clone()).collect();
    let of = |value: &dyn Fn(&Line<'_>) -> Option<f64>| lines.iter().map(value).collect::<Vec<_>>();
    let chart = |title, series, logarithmic, show| {
        columns(&Columns { title, names: &names, series, logarithmic, show })
    };
    if lines.iter().any(|l| l.layer.max_error.is_some()) {
        writeln!(
            out,
            "<h2>Error of each layer</h2>\n<p>Difference of every layer's result from the float model's, over the examples of the last \
             run.</p>"
        )?;
        out.push_str(&chart(
            "Error of each layer",
            vec![
                Series { name: "largest", class: "two", values: of(&|l| l.layer.max_error) },
                Series { name: "root mean square", class: "one", values: of(&|l| l.layer.rms_error) },
            ],
            true,
            number,
        ));
    }
    writeln!(
        out,
        "<h2>Bits of each layer</h2>\n<p>Signed bits that the largest value takes at the program's scale, and those within which everything is exact: \
         of the ring, or of the comparison that follows.</p>"
    )?;
    out.push_str(&chart(
        "Bits of each layer",
        vec![
            Series { name: "there", class: "three", values: of(&|l| Some(l.layer.bits_there.into())) },
            Series { name: "needed", class: "one", values: of(&|l| Some(l.layer.bits_needed.into())) },
        ],
        false,
        whole,
    ));
    writeln!(out, "<h2>Bytes of each layer</h2>\n<p>Between all parties, in Mirror, for one run.</p>")?;
    out.push_str(&chart(
        "Bytes of each layer",
        vec![
            Series {
                name: "dealt ahead and online",
                class: "three",
                values: of(&|l| Some((l.dealt + l.online) as f64)),
            },
            Series { name: "online", class: "one", values: of(&|l| Some(l.online as f64)) },
        ],
        false,
        |v| bytes(v.round() as u64),
    ));
    Ok(())
}

/// Layers of the list of costs.
const LISTED: usize = 10;

fn largest(out: &mut String, lines: &[Line<'_>]) -> std::fmt::Result {
    let total: u64 = lines.iter().map(|l| l.dealt + l.online).sum();
    let mut sorted: Vec<&Line<'_>> = lines.iter().collect();
    sorted.sort_by_key(|l| std::cmp::Reverse(l.dealt + l.online));
    writeln!(
        out,
        "<h2>Largest costs</h2>\n<table><thead><tr><th class=\"text\">layer</th><th class=\"text\">operation</th><th>bytes</th><th>of all</th>\
         <th>rounds</th></tr></thead><tbody>"
    )?;
    for line in sorted.into_iter().take(LISTED).filter(|l| l.dealt + l.online > 0) {
        let own = line.dealt + line.online;
        writeln!(
            out,
            "<tr><td class=\"text\">{}</td><td class=\"text\">{}</td><td>{}</td><td>{:.1} %</td><td>{}</td></tr>",
            escaped(&line.layer.name),
            escaped(&line.layer.operation),
            bytes(own),
            100.0 * own as f64 / total.max(1) as f64,
            line.rounds
        )?;
    }
    writeln!(out, "</tbody></table>")
}

fn functions(out: &mut String, report: &CompileReport) -> std::fmt::Result {
    if report.functions.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<h2>Functions</h2>\n<p>Functions that polynomials stand for, one for each piece of their range.</p>\n\
         <table class=\"sortable\"><thead><tr><th class=\"text\">node</th><th class=\"text\">function</th><th>from</th><th>to</th><th>pieces</th>\
         <th>degree</th><th>largest error</th></tr></thead><tbody>"
    )?;
    for f in &report.functions {
        writeln!(
            out,
            "<tr><td class=\"text\">{}</td><td class=\"text\">{}</td><td>{:.4}</td><td>{:.4}</td><td>{}</td><td>{}</td><td data-v=\"{:e}\">{}</td></tr>",
            escaped(&f.name),
            escaped(&f.function),
            f.low,
            f.high,
            f.pieces,
            f.degree,
            f.largest_error,
            number(f.largest_error)
        )?;
    }
    writeln!(out, "</tbody></table>")
}

fn layers(out: &mut String, lines: &[Line<'_>]) -> std::fmt::Result {
    writeln!(
        out,
        "<h2>Layers</h2>\n<p>Click on a column's name to sort by it.</p>\n<div class=\"wide\"><table class=\"sortable\"><thead><tr><th>#</th>\
         <th class=\"text\">layer</th><th class=\"text\">operation</th><th>shape</th><th>largest value</th><th>bits needed</th><th>bits there</th>\
         <th>margin</th><th>weights' bits</th><th>fractional</th><th>rms error</th><th>largest error</th><th>bytes</th><th>rounds</th></tr></thead><tbody>"
    )?;
    let optional = |v: Option<f64>| match v {
        Some(v) => format!("<td data-v=\"{v:e}\">{}</td>", number(v)),
        None => "<td data-v=\"-1\"></td>".into(),
    };
    // Where there is none, no input makes it fail by itself: it sorts behind the others.
    let margin = |v: Option<f64>| match v {
        Some(v) if v < 0.5 => format!("<td class=\"thin\">{v:.1}</td>"),
        Some(v) => format!("<td>{v:.1}</td>"),
        None => "<td data-v=\"1e9\"></td>".into(),
    };
    let bits = |v: Option<u32>| v.map_or("<td data-v=\"-1\"></td>".into(), |b| format!("<td>{b}</td>"));
    for (i, line) in lines.iter().enumerate() {
        let l = line.layer;
        let own = line.dealt + line.online;
        writeln!(
            out,
            "<tr><td>{}</td><td class=\"text\">{}</td><td class=\"text\">{}</td><td>{}</td><td data-v=\"{:e}\">{}</td><td>{}</td><td>{}</td>\
             {}{}{}{}{}<td data-v=\"{own}\">{}</td><td>{}</td></tr>",
            i + 1,
            escaped(&l.name),
            escaped(&l.operation),
            shape(&l.shape),
            l.largest,
            number(l.largest),
            l.bits_needed,
            l.bits_there,
            margin(l.margin),
            bits(l.weight_bits),
            bits(l.weight_scale),
            optional(l.rms_error),
            optional(l.max_error),
            bytes(own),
            line.rounds
        )?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn number(v: f64) -> String {
    if v == 0.0 {
        "0".into()
    } else if (1e-3..1e5).contains(&v.abs()) {
        let digits = (3 - v.abs().log10().floor() as i32).clamp(0, 6) as usize;
        let text = format!("{v:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
    } else {
        format!("{v:.1e}")
    }
}

fn whole(v: f64) -> String {
    format!("{v:.0}")
}

const STYLE: &str = "
:root { color-scheme: light dark; --back: #ffffff; --text: #202124; --soft: #5f6368; --line: #dadce0; --row: #f6f7f9;
  --one: #1a73e8; --two: #f0a45d; --three: #b9c6d8; --warn: #b3261e; --good: #e6f4ea; }
@media (prefers-color-scheme: dark) { :root { --back: #17191c; --text: #e8eaed; --soft: #9aa0a6; --line: #3c4043; --row: #1f2226;
  --one: #8ab4f8; --two: #b06a2c; --three: #4a5566; --warn: #f2b8b5; --good: #1e3a2a; } }
body { font: 14px/1.45 system-ui, sans-serif; max-width: 1080px; margin: 2em auto; padding: 0 1em; background: var(--back); color: var(--text); }
h1 { font-size: 1.6em; } h2 { font-size: 1.15em; margin: 2em 0 .4em; } p { color: var(--soft); margin: .2em 0 .8em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .22em .7em; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
.facts th, .facts td, .text { text-align: left !important; } .facts th { color: var(--soft); font-weight: normal; white-space: nowrap; }
td.text { overflow-wrap: anywhere; } thead th { font-weight: 600; } tbody tr:hover { background: var(--row); }
.sortable th { cursor: pointer; } .sortable th:hover { text-decoration: underline; }
.wide { overflow-x: auto; } .chosen { background: var(--good); } .thin, .warnings { color: var(--warn); }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--text); } svg .grid { stroke: var(--line); }
svg .one { fill: var(--one); } svg .two { fill: var(--two); } svg .three { fill: var(--three); } svg g:hover rect { opacity: .7; }
";

const SORT: &str = "
for (const table of document.querySelectorAll('table.sortable')) {
  table.querySelectorAll('th').forEach((head, column) => {
    let up = false;
    head.addEventListener('click', () => {
      const key = row => { const cell = row.cells[column]; const text = cell.dataset.v ?? cell.textContent;
        const value = parseFloat(text); return isNaN(value) ? text : value; };
      const body = table.tBodies[0];
      up = !up;
      [...body.rows].sort((a, b) => { const [x, y] = [key(a), key(b)];
        const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
        return up ? order : -order; }).forEach(row => body.append(row));
    });
  });
}
";
