//! A party's state in the text form of Prometheus (0.0.4), which every tool of its kind reads.

use std::fmt::{Display, Write};

use crate::state::State;

/// The text.
pub fn metrics(state: &State) -> String {
    let mut text = Text(String::new());
    let State { party, places, audit, memory, files, totals, .. } = state;
    let index = party.index.to_string();
    text.family("cryptflow_info", "gauge", "Which party this is, and of which version.")
        .sample(&[("party", &index), ("version", &party.version)], 1);
    text.family("cryptflow_uptime_seconds", "gauge", "Seconds since the party was started.")
        .value(party.uptime);
    text.family("cryptflow_ready", "gauge", "1 where the party can do its work.")
        .value(u8::from(state.ready()));
    text.family("cryptflow_sessions", "gauge", "Sessions that run.").value(places.taken);
    text.family("cryptflow_sessions_limit", "gauge", "Sessions that may run at a time.").value(places.most);
    text.family("cryptflow_sessions_waiting", "gauge", "Sessions that wait for a place.")
        .value(places.waiting);
    let mut ended = text.family(
        "cryptflow_sessions_ended_total",
        "counter",
        "Sessions that have ended, by how they did.",
    );
    totals.ended.iter().for_each(|(how, count)| ended.sample(&[("outcome", how)], count));
    let mut refused =
        text.family("cryptflow_refused_total", "counter", "What was refused, by the kind of reason.");
    totals.refused.iter().for_each(|(code, count)| refused.sample(&[("reason", code)], count));
    let mut seconds = text.family(
        "cryptflow_session_seconds_total",
        "counter",
        "Seconds that sessions spent, by what they did.",
    );
    totals.seconds.iter().for_each(|(phase, count)| seconds.sample(&[("phase", phase)], count));
    text.family("cryptflow_runs_total", "counter", "Runs of programs that were done.").value(totals.runs);
    text.family("cryptflow_rounds_total", "counter", "Rounds of runs.").value(totals.rounds);
    let mut sent = text.family(
        "cryptflow_sent_bytes_total",
        "counter",
        "Payload bytes that runs sent, by the party they went to.",
    );
    totals.sent.iter().for_each(|(peer, count)| sent.sample(&[("peer", &format!("P{peer}"))], count));
    let mut held = text.family("cryptflow_memory_bytes", "gauge", "Memory that processes hold.");
    memory.party.iter().for_each(|count| held.sample(&[("of", "party")], count));
    held.sample(&[("of", "sessions")], memory.sessions);
    text.family("cryptflow_models", "gauge", "Models that the party keeps.")
        .value(state.models.iter().filter(|model| model.is_there()).count());
    text.family("cryptflow_models_damaged", "gauge", "Models of which what is kept cannot be read.")
        .value(state.models.iter().filter(|model| model.damage.is_some()).count());
    let mut used =
        text.family("cryptflow_model_version", "gauge", "Number of the version of a model that is used.");
    for model in &state.models {
        model.used.iter().for_each(|number| used.sample(&[("model", &model.name)], number));
    }
    let mut kept = text.family("cryptflow_model_versions", "gauge", "Versions of a model that are kept.");
    for model in &state.models {
        kept.sample(&[("model", &model.name)], model.versions.len());
    }
    let mut runs = text.family("cryptflow_dealt_runs", "gauge", "Runs that were dealt ahead, and are left.");
    for model in state.models.iter().filter(|model| model.is_there()) {
        runs.sample(&[("model", &model.name)], model.dealt_runs);
    }
    let mut bytes = text.family("cryptflow_dealt_bytes", "gauge", "Bytes of runs that were dealt ahead.");
    for model in state.models.iter().filter(|model| model.is_there()) {
        bytes.sample(&[("model", &model.name)], model.dealt_bytes);
    }
    peers(&mut text, state);
    text.family("cryptflow_audit_entries", "gauge", "Entries of the audit log.").value(audit.entries);
    text.family("cryptflow_audit_writable", "gauge", "1 where the last entry could be written.")
        .value(u8::from(audit.writable));
    let ages = [("certificate", files.certificate), ("collateral", files.collateral)];
    let mut age = text.family("cryptflow_file_age_seconds", "gauge", "Seconds since a file was written.");
    ages.iter().for_each(|(of, age_of)| age_of.iter().for_each(|seconds| age.sample(&[("of", of)], seconds)));
    text.0
}

fn peers(text: &mut Text, state: &State) {
    let name = |index: usize| format!("P{index}");
    let mut reached = text.family("cryptflow_peer_reached", "gauge", "1 where another party answered last.");
    for peer in &state.peers {
        reached.sample(&[("peer", &name(peer.index))], u8::from(peer.reached));
    }
    let mut rtt = text.family("cryptflow_peer_rtt_seconds", "gauge", "Seconds to another party and back.");
    for peer in &state.peers {
        peer.rtt.iter().for_each(|seconds| rtt.sample(&[("peer", &name(peer.index))], seconds));
    }
    let mut clock = text.family(
        "cryptflow_peer_clock_seconds",
        "gauge",
        "Seconds by which another party's clock is ahead.",
    );
    for peer in &state.peers {
        peer.clock.iter().for_each(|seconds| clock.sample(&[("peer", &name(peer.index))], seconds));
    }
}

struct Text(String);

impl Text {
    fn family<'a>(&'a mut self, name: &'a str, kind: &str, help: &str) -> Family<'a> {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { text: &mut self.0, name }
    }
}

struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
}

impl Family<'_> {
    fn value(&mut self, value: impl Display) {
        self.sample(&[], value);
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{}{labels} {value}", self.name);
    }
}

/// A text within quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
