//! The compiler's report as a page of HTML: one file that needs nothing else.

use cryptflow_athos::fix::counted;
use cryptflow_athos::fix::report::{
    AgreementReport, CompileReport, DecisionsReport, LayerReport, TrialReport,
};
use cryptflow_engine::Estimate;
use cryptflow_figures::columns::{Columns, Mark, Series, columns};
use cryptflow_figures::names::breakable;
use cryptflow_figures::table::{bytes, count, number, shape};
use cryptflow_program::{Operation, Program};
use cryptflow_protocols::ProtocolName;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What the page is about, beside the report.
pub struct Subject<'a> {
    /// The compiled program.
    pub program: &'a Program,
    /// What the compiler decided and measured.
    pub report: &'a CompileReport,
    /// The protocol whose costs are shown.
    pub protocol: ProtocolName,
    /// What the program costs in it.
    pub cost: &'a Estimate,
    /// Where the model came from.
    pub source: String,
    /// Options that were given, as they were written.
    pub options: Vec<(String, String)>,
}

/// A layer, with what it costs.
struct Line<'a> {
    layer: &'a LayerReport,
    dealt: u64,
    online: u64,
    rounds: u64,
}

impl Line<'_> {
    fn bytes(&self) -> u64 {
        self.dealt + self.online
    }
}

/// The page.
pub fn page(subject: &Subject<'_>) -> String {
    let name = &subject.program.name;
    let lines = lines(subject);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (name) ": compiled" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (breakable(name)) }
                (summary(subject))
                (warnings(&subject.report.warnings))
                (trials(subject))
                (charts(&lines, subject.protocol.facts().title))
                (largest(&lines))
                (functions(subject.report))
                (layers(&lines))
                script { (PreEscaped(SORT)) }
            }
        }
    };
    page.into_string() + "\n"
}

/// Layers are the steps that are neither movements nor changes of ring, which count for the layer
/// before them.
fn lines<'a>(subject: &'a Subject<'_>) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    let mut before = (0, 0, 0);
    let dealer = subject.protocol.facts().dealer;
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

fn summary(subject: &Subject<'_>) -> Markup {
    let (report, total, dealer) = (subject.report, &subject.cost.total, subject.protocol.facts().dealer);
    let size = format!(
        "{} layers, {} parameters, {} multiplications; at most {} values at a time",
        report.layers.len(),
        count(report.parameters),
        count(report.macs),
        count(report.peak_elements)
    );
    let bounds = match report.examples {
        0 => "worst cases, from the range of the inputs".into(),
        n => format!("from {}, with a margin of {}", counted(n, "example"), report.margin()),
    };
    let cost = format!(
        "{} ({} dealt ahead, {} online), {} rounds",
        bytes(total.total()),
        bytes(total.dealt(dealer)),
        bytes(total.online(dealer)),
        total.rounds
    );
    let options: Vec<String> =
        subject.options.iter().map(|(name, value)| format!("--{name} {value}")).collect();
    let cost_of_a_run = format!("cost of a run in {}", subject.protocol.facts().title);
    let mut rows = vec![
        ("model", subject.source.clone()),
        ("size", size),
        ("scale", format!("{} fractional bits: {}", report.scale, report.scale_reason)),
        ("ring", format!("{} bits: {}", report.ring_bits, report.ring_reason)),
        ("bounds", bounds),
    ];
    rows.extend(report.agreement.as_ref().map(|a| ("agreement with the float model", agreement(a))));
    rows.extend(report.decisions.as_ref().map(|d| ("decisions", decisions(d))));
    rows.push((&cost_of_a_run, cost));
    rows.push(("options", if options.is_empty() { "none".into() } else { options.join(" ") }));
    html! {
        table.facts {
            @for (name, text) in rows { tr { th { (name) } td { (breakable(&text)) } } }
        }
    }
}

fn agreement(a: &AgreementReport) -> String {
    let choices = match a.rows {
        0 => String::new(),
        rows => format!("{} of {rows} rows have the same arg-max; ", rows - a.flips.min(rows)),
    };
    format!(
        "{choices}largest error {:.2e} ({}; {:.2e} is allowed), on {}, each run {} times",
        a.largest_error,
        a.place,
        a.tolerance,
        counted(a.examples, "example"),
        a.draws
    )
}

fn decisions(d: &DecisionsReport) -> String {
    format!(
        "kept alone: the best class lies {:.2e} before the second in half of the examples, {:.2e} where it is closest",
        d.median_margin, d.thinnest_margin
    )
}

fn warnings(warnings: &[String]) -> Markup {
    html! {
        @if !warnings.is_empty() {
            h2 { "Warnings" }
            ul.warnings { @for warning in warnings { li { (breakable(warning)) } } }
        }
    }
}

fn trials(subject: &Subject<'_>) -> Markup {
    let mut trials = subject.report.trials.clone();
    trials.sort_by_key(|t| (t.ring_bits, t.scale));
    html! {
        @if !trials.is_empty() {
            h2 { "Accuracy at each scale" }
            p { "Programs that the search ran on the examples beside the float model. The smallest scale (and ring) that \
                 agrees in several runs of each example is taken: rounding is random." }
            @if trials.len() > 1 { (errors_of(&trials)) }
            div.wide { table.sortable {
                thead { tr {
                    @for name in ["scale", "ring", "runs of each example", "largest error", "allowed", "other arg-max", ""] { th { (name) } }
                } }
                tbody { @for t in &trials { (trial(t, subject.report)) } }
            } }
        }
    }
}

/// The error of each trial as a bar, and as a line what it may be.
fn errors_of(trials: &[TrialReport]) -> Markup {
    let names: Vec<String> =
        trials.iter().map(|t| format!("{} bits, ring {}", t.scale, t.ring_bits)).collect();
    let series = |name, class, mark, value: fn(&TrialReport) -> f64| {
        let values = trials.iter().map(|t| t.problem.is_none().then(|| value(t)));
        Series { name, class, mark, values: values.collect() }
    };
    chart(&Columns {
        title: "Error at each scale",
        names: &names,
        series: vec![
            series("largest error of an output", "one", Mark::Bar, |t| t.largest_error),
            series("allowed", "two", Mark::Line, |t| t.tolerance),
        ],
        logarithmic: true,
        show: number,
    })
}

fn trial(t: &TrialReport, report: &CompileReport) -> Markup {
    let chosen = t.scale == report.scale && t.ring_bits == report.ring_bits;
    let verdict = match (&t.problem, t.agrees) {
        (Some(problem), _) => problem,
        (None, true) if chosen => "agrees: chosen",
        (None, true) => "agrees",
        (None, false) => "too coarse",
    };
    let ran = t.problem.is_none();
    html! {
        tr.chosen[chosen] {
            td { (t.scale) }
            td { (t.ring_bits) }
            td { (t.draws) }
            td data-v=(format_args!("{:e}", t.largest_error)) { @if ran { (number(t.largest_error)) } }
            td { @if ran { (number(t.tolerance)) } }
            td { @if ran { (t.flips) " of " (t.rows) } }
            td.text.verdict { (breakable(verdict)) }
        }
    }
}

/// A chart that is moved sideways where the page is narrower than it can be read.
fn chart(chart: &Columns<'_>) -> Markup {
    html! { div.wide { (columns(chart)) } }
}

fn charts(lines: &[Line<'_>], protocol: &str) -> Markup {
    let names: Vec<String> = lines.iter().map(|l| l.layer.name.clone()).collect();
    let series = |name, class, mark, value: fn(&Line<'_>) -> Option<f64>| Series {
        name,
        class,
        mark,
        values: lines.iter().map(value).collect(),
    };
    let of_layers = |title, series, logarithmic, show| {
        chart(&Columns { title, names: &names, series, logarithmic, show })
    };
    html! {
        @if lines.iter().any(|l| l.layer.max_error.is_some()) {
            h2 { "Error of each layer" }
            p { "Difference of every layer's result from the float model's, over the examples of the last run." }
            (of_layers(
                "Error of each layer",
                vec![
                    series("root mean square", "one", Mark::Bar, |l| l.layer.rms_error),
                    series("largest", "two", Mark::Line, |l| l.layer.max_error),
                ],
                true,
                number,
            ))
        }
        h2 { "Bits of each layer" }
        p { "Signed bits that the largest value takes at the program's scale, and those within which everything is exact: \
             of the ring, or of the comparison that follows." }
        (of_layers(
            "Bits of each layer",
            vec![
                series("needed", "one", Mark::Bar, |l| Some(l.layer.bits_needed.into())),
                series("there", "two", Mark::Line, |l| Some(l.layer.bits_there.into())),
            ],
            false,
            whole,
        ))
        h2 { "Bytes of each layer" }
        p { "Between all parties, in " (protocol) ", for one run." }
        (of_layers(
            "Bytes of each layer",
            vec![
                series("online", "one", Mark::Bar, |l| Some(l.online as f64)),
                series("dealt ahead", "three", Mark::OnTop, |l| Some(l.dealt as f64)),
            ],
            false,
            |v| bytes(v.round() as u64),
        ))
    }
}

/// Layers of the list of costs.
const LISTED: usize = 10;

fn largest(lines: &[Line<'_>]) -> Markup {
    let total: u64 = lines.iter().map(Line::bytes).sum();
    let mut sorted: Vec<&Line<'_>> = lines.iter().filter(|l| l.bytes() > 0).collect();
    sorted.sort_by_key(|l| std::cmp::Reverse(l.bytes()));
    html! {
        h2 { "Largest costs" }
        div.wide { table {
            thead { tr {
                th.text { "layer" } th.text { "operation" } th { "bytes" } th { "of all" } th { "rounds" }
            } }
            tbody {
                @for line in sorted.into_iter().take(LISTED) {
                    tr {
                        td.text.name { (breakable(&line.layer.name)) }
                        td.text { (line.layer.operation) }
                        td { (bytes(line.bytes())) }
                        td { (format_args!("{:.1} %", 100.0 * line.bytes() as f64 / total.max(1) as f64)) }
                        td { (line.rounds) }
                    }
                }
            }
        } }
    }
}

fn functions(report: &CompileReport) -> Markup {
    html! {
        @if !report.functions.is_empty() {
            h2 { "Functions" }
            p { "Functions that polynomials stand for, one for each piece of their range." }
            div.wide { table.sortable {
                thead { tr {
                    th.text { "node" } th.text { "function" }
                    @for name in ["from", "to", "pieces", "degree", "largest error", "zero below"] { th { (name) } }
                } }
                tbody {
                    @for f in &report.functions {
                        tr {
                            td.text.name { (breakable(&f.name)) }
                            td.text { (f.function) }
                            td { (format_args!("{:.4}", f.low)) }
                            td { (format_args!("{:.4}", f.high)) }
                            td { (f.pieces) }
                            td { (f.degree) }
                            (number_cell(f.largest_error))
                            td { @if let Some(end) = f.zero_below { (format_args!("{end:.4}")) } }
                        }
                    }
                }
            } }
        }
    }
}

/// A number as people read it, which sorts by all of its digits.
fn number_cell(v: f64) -> Markup {
    html! { td data-v=(format_args!("{v:e}")) { (number(v)) } }
}

fn layers(lines: &[Line<'_>]) -> Markup {
    html! {
        h2 { "Layers" }
        p { "Click on a column's name to sort by it." }
        div.wide { table.sortable {
            thead { tr {
                th { "#" } th.text { "layer" } th.text { "operation" }
                @for name in [
                    "shape", "largest value", "bits needed", "bits there", "margin", "weights' bits", "fractional",
                    "rms error", "largest error", "bytes", "rounds",
                ] { th { (name) } }
            } }
            tbody { @for (i, line) in lines.iter().enumerate() { (layer(i + 1, line)) } }
        } }
    }
}

fn layer(place: usize, line: &Line<'_>) -> Markup {
    let l = line.layer;
    let error = |v: Option<f64>| match v {
        Some(v) => number_cell(v),
        None => html! { td data-v="-1" {} },
    };
    let bits = |v: Option<u32>| match v {
        Some(v) => html! { td { (v) } },
        None => html! { td data-v="-1" {} },
    };
    // Where there is none, no input makes it fail by itself: it sorts behind the others.
    let margin = match l.margin {
        Some(v) => html! { td.thin[v < 0.5] { (format_args!("{v:.1}")) } },
        None => html! { td data-v="1e9" {} },
    };
    html! {
        tr {
            td { (place) }
            td.text.name { (breakable(&l.name)) }
            td.text { (l.operation) }
            td { (shape(&l.shape)) }
            (number_cell(l.largest))
            td { (l.bits_needed) }
            td { (l.bits_there) }
            (margin)
            (bits(l.weight_bits))
            (bits(l.weight_scale))
            (error(l.rms_error))
            (error(l.max_error))
            td data-v=(line.bytes()) { (bytes(line.bytes())) }
            td { (line.rounds) }
        }
    }
}

fn whole(v: f64) -> String {
    format!("{v:.0}")
}

const STYLE: &str = "
:root { color-scheme: light dark; --back: #ffffff; --text: #202124; --soft: #5f6368; --line: #dadce0; --row: #f6f7f9;
  --one: #1a73e8; --two: #d9730d; --three: #b9c6d8; --warn: #b3261e; --good: #e6f4ea; }
@media (prefers-color-scheme: dark) { :root { --back: #17191c; --text: #e8eaed; --soft: #9aa0a6; --line: #3c4043; --row: #1f2226;
  --one: #8ab4f8; --two: #f0a45d; --three: #4a5566; --warn: #f2b8b5; --good: #1e3a2a; } }
body { font: 14px/1.45 system-ui, sans-serif; max-width: 1160px; margin: 2em auto; padding: 0 1em; background: var(--back); color: var(--text); }
h1 { font-size: 1.6em; } h2 { font-size: 1.15em; margin: 2em 0 .4em; } p { color: var(--soft); margin: .2em 0 .8em; }
h1, li, .facts td { overflow-wrap: break-word; min-width: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .22em .4em; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
.facts th, .facts td, .text { text-align: left !important; } .facts th { color: var(--soft); font-weight: normal; white-space: nowrap; }
.wide td { white-space: nowrap; } .wide td.text { white-space: normal; } td.name { min-width: 11em; position: sticky; left: 0; background: var(--back); } tr:hover td.name { background: var(--row); }
thead th { font-weight: 600; vertical-align: bottom; } tbody tr:hover { background: var(--row); }
.sortable th { cursor: pointer; } .sortable th:hover { text-decoration: underline; }
.wide { overflow-x: auto; } .chosen { background: var(--good); } .thin, .warnings { color: var(--warn); } .warnings { padding-left: 1.4em; }
.columns { width: 100%; min-width: 760px; height: auto; display: block; }
svg text { fill: var(--text); } svg .grid { stroke: var(--line); }
svg .one { fill: var(--one); } svg .two { fill: var(--two); } svg .three { fill: var(--three); } svg .all { fill: transparent; }
svg g:hover .all { fill: var(--text); opacity: .08; }
@media (max-width: 700px) {
  body { margin: 1em auto; } .facts tr, .facts th, .facts td { display: block; } .facts th { border: 0; padding-bottom: 0; }
}
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
