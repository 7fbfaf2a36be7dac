//! The port of a party's operator, against real parties.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use cryptflow::remote::Site;
use cryptflow_party::greeting::{Ask, held, say};

use crate::owner::Owner;
use crate::sites::{PATIENCE, Sites, cryptflow, free_address, outcome};
use crate::words::failed;

/// Status, head and body of what is answered.
pub(crate) fn get(address: &str, path: &str, lines: &str) -> (u16, String, String) {
    said(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n"))
}

pub(crate) fn said(address: &str, request: &str) -> (u16, String, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.into(), body.into())
}

fn json(address: &str, path: &str) -> Value {
    serde_json::from_str(&get(address, path, "").2).unwrap()
}

/// The value of a metric, by its name and labels.
fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// Sites whose parties have a port for their operator, and its addresses.
fn watched() -> (Sites, [String; 3]) {
    let sites = Sites::new(false);
    let ports = [(); 3].map(|()| free_address());
    for (party, port) in ["p0", "p1", "p2"].iter().zip(&ports) {
        sites.edit(party, "[session]\n", &format!("[operator]\nlisten = \"{port}\"\n[session]\n"));
    }
    (sites, ports)
}

fn start(sites: &mut Sites, index: usize) {
    sites.start_with(index, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
}

fn await_causes(port: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let end = Instant::now() + PATIENCE;
    loop {
        let (status, _, body) = get(port, "/readyz", "");
        let said: Value = serde_json::from_str(&body).unwrap();
        let causes = said["causes"].as_array().unwrap().clone();
        assert_eq!(said["ready"], causes.is_empty());
        assert_eq!(status, if causes.is_empty() { 200 } else { 503 });
        if holds(&causes) {
            return causes;
        }
        assert!(Instant::now() < end, "{body}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until a cause has this word; everything that is said of it.
fn await_cause(port: &str, code: &str) -> Value {
    let causes = await_causes(port, |causes| causes.iter().any(|cause| cause["code"] == code));
    let cause = causes.into_iter().find(|cause| cause["code"] == code).unwrap();
    assert!(cause["advice"].as_str().is_some_and(|advice| !advice.is_empty()), "{cause}");
    cause
}

#[test]
fn what_is_counted_is_what_the_client_reports() {
    let (mut sites, ports) = watched();
    sites.start();
    sites.deploy("mirror").unwrap();
    for port in &ports {
        await_causes(port, <[Value]>::is_empty);
    }
    let reports = [sites.predict().unwrap(), sites.predict().unwrap()];
    sites.await_rest();
    // Somebody whom no party knows.
    let refused = |port: &String| {
        metric(&get(port, "/metrics", "").2, "cryptflow_refused_total{reason=\"key-not-accepted\"}")
    };
    let before: Vec<f64> = ports.iter().map(refused).collect();
    sites.another_client("eve");
    let eve = Site::read(&sites.config("eve"), None).unwrap();
    assert!(eve.status().iter().all(Result::is_err));
    for (i, port) in ports.iter().enumerate() {
        let (status, head, text) = get(port, "/metrics", "");
        assert_eq!(status, 200);
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        check(&text);
        for j in (0..3).filter(|&j| j != i) {
            // To the byte.
            let link = format!("p{i}_p{j}");
            let reported: u64 =
                reports.iter().map(|r| r["bytes"]["links"][&link].as_u64().unwrap_or(0)).sum();
            if reported > 0 {
                let name = format!("cryptflow_sent_bytes_total{{peer=\"P{j}\"}}");
                assert_eq!(metric(&text, &name), reported as f64, "{text}");
            }
            assert_eq!(metric(&text, &format!("cryptflow_peer_reached{{peer=\"P{j}\"}}")), 1.0);
        }
        assert_eq!(metric(&text, "cryptflow_sessions_ended_total{outcome=\"finished\"}"), 2.0);
        // Three rows, in batches of two.
        assert_eq!(metric(&text, "cryptflow_runs_total"), 4.0);
        assert_eq!(refused(port), before[i] + 1.0);
        assert_eq!(metric(&text, "cryptflow_models"), 1.0);
        assert_eq!(metric(&text, "cryptflow_ready"), 1.0);
        assert!(metric(&text, "cryptflow_session_seconds_total{phase=\"run\"}") > 0.0);
        assert!(metric(&text, "cryptflow_memory_bytes{of=\"party\"}") > 1e6);
        let log = std::fs::read_to_string(sites.site(&format!("p{i}")).join("audit.jsonl")).unwrap();
        assert_eq!(metric(&text, "cryptflow_audit_entries"), log.lines().count() as f64);
    }
    let rounds = reports.iter().map(|report| report["rounds"].as_f64().unwrap()).sum::<f64>();
    let most = ports.iter().map(|port| metric(&get(port, "/metrics", "").2, "cryptflow_rounds_total"));
    assert_eq!(most.fold(0.0, f64::max), rounds);
}

/// Has Prometheus' own tool read metrics, where there is one.
fn check(text: &str) {
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        eprintln!("skipped: promtool is not installed, and has not read the metrics");
        return;
    };
    tool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.trim().is_empty(), "{complaint}\n{text}");
}

#[test]
fn a_party_is_ready_when_the_others_are_reached_and_agree() {
    let (mut sites, ports) = watched();
    start(&mut sites, 0);
    // It lives, and is not ready.
    assert_eq!(get(&ports[0], "/healthz", "").0, 200);
    let cause = await_cause(&ports[0], "unreachable");
    assert!(cause["message"].as_str().unwrap().contains("P1"), "{cause}");
    (1..3).for_each(|index| start(&mut sites, index));
    sites.deploy("mirror").unwrap();
    for port in &ports {
        await_causes(port, <[Value]>::is_empty);
    }
    sites.await_log(0, "ready: the other parties are reached, and agree");

    // Another model of the same name at one party, and none.
    let kept = sites.set_aside(1, "tiny");
    sites.deploy("porthos").unwrap();
    sites.put_back(1, "tiny", &kept);
    let cause = await_cause(&ports[0], "different-model");
    assert_eq!((&cause["party"], &cause["model"]), (&1.into(), &"tiny".into()));
    std::fs::remove_dir_all(sites.model_folder(1, "tiny")).unwrap();
    assert_eq!(await_cause(&ports[2], "unknown-model")["party"], 1);
    sites.put_back(1, "tiny", &kept);
    std::fs::write(sites.part(1, "tiny"), b"nothing").unwrap();
    assert_eq!(await_cause(&ports[1], "damaged-model")["model"], "tiny");
    sites.deploy("mirror").unwrap();
    await_causes(&ports[0], <[Value]>::is_empty);

    // A key that is another's.
    sites.kill(2);
    let cause = await_cause(&ports[1], "unreachable");
    assert_eq!(cause["party"], 2);
    let own = sites.fingerprints[0].to_string();
    sites.edit("p2", &own, &["b259-f8c5"; 8].join("-"));
    start(&mut sites, 2);
    assert_eq!(await_cause(&ports[0], "key-not-accepted")["party"], 2);
    assert_eq!(await_cause(&ports[2], "wrong-key")["party"], 0);
    // What a party knows of the others, its clients hear.
    let status = sites.client(&["status", "--json"]);
    let status = failed(status);
    assert_eq!(status["parties"][0]["status"]["causes"][0][1], "key-not-accepted", "{status}");
    assert_eq!(
        (&status["unusable"][0]["party"], &status["unusable"][0]["code"]),
        (&0.into(), &"key-not-accepted".into())
    );
}

/// What the operator sees of versions is what parties and clients say of them.
#[test]
fn versions_are_shown() {
    let (mut sites, ports) = watched();
    sites.start();
    sites.deploy("mirror").unwrap();
    let models = |port: &String| -> Value {
        let (status, _, text) = get(port, "/status.json", "");
        assert_eq!(status, 200);
        let said: Value = serde_json::from_str(&text).unwrap();
        said["state"]["models"].clone()
    };
    let await_models = |port: &String, what: &str, are: &dyn Fn(&Value) -> bool| {
        let end = Instant::now() + PATIENCE;
        while !are(&models(port)) {
            assert!(Instant::now() < end, "{what}: {:#}", models(port));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    // Number, state and whether it is a model, of each version.
    let versions = |models: &Value| -> Vec<(u64, String, bool)> {
        let all = models[0]["versions"].as_array().unwrap().iter();
        let one = |version: &Value| {
            let state = version["state"].as_str().unwrap().to_string();
            (version["generation"].as_u64().unwrap(), state, version["digest"].is_string())
        };
        all.map(one).collect()
    };
    let state = |number: u64, state: &str, model: bool| (number, state.to_string(), model);
    sites.deploy("porthos").unwrap();
    for (index, port) in ports.iter().enumerate() {
        let expected = vec![state(2, "used", true), state(1, "previous", true)];
        await_models(port, "two versions", &|models| models[0]["used"] == 2 && versions(models) == expected);
        let shown = models(port);
        let store = sites.store(index).kept("tiny").unwrap();
        for (version, kept) in shown[0]["versions"].as_array().unwrap().iter().zip(&store) {
            assert_eq!(version["client"], "alice");
            assert_eq!(version["time"], kept.version.time);
            assert_eq!(version["damage"], Value::Null);
            let digest = kept.version.content.digest().map(|byte| format!("{byte:02x}")).concat();
            assert_eq!(version["digest"], digest);
        }
        assert_eq!(shown[0]["versions"][0]["protocol"], "porthos");
        assert_eq!(shown[0]["versions"][0]["digest"], shown[0]["digest"]);
        assert!(shown[0]["versions"][0]["bytes"].as_u64().unwrap() > 0);
        let (_, _, text) = get(port, "/metrics", "");
        assert_eq!(metric(&text, "cryptflow_model_version{model=\"tiny\"}"), 2.0);
        assert_eq!(metric(&text, "cryptflow_model_versions{model=\"tiny\"}"), 2.0);
    }
    // A change that is not done, and one that is undone.
    let site = Site::read(&sites.config("client"), None).unwrap();
    let mut owner = Owner::alone(&site, "tiny");
    let (name, generation) = ("tiny".to_string(), owner.generation);
    say(&mut owner.channels[1], &Ask::Remove { name, generation }).unwrap();
    held(&mut owner.channels[1]).unwrap();
    await_models(&ports[1], "a version that is staged", &|models| {
        versions(models)[0] == state(3, "staged", false) && models[0]["used"] == 2
    });
    drop(owner);
    outcome(sites.client(&["models", "rollback", "tiny"])).unwrap();
    await_models(&ports[1], "a version as before", &|models| {
        let versions = versions(models);
        versions[0] == state(4, "used", true) && models[0]["protocol"] == "mirror"
    });
    outcome(sites.client(&["models", "rm", "tiny"])).unwrap();
    for port in &ports {
        await_models(port, "no model", &|models| *models == serde_json::json!([]));
        assert_eq!(metric(&get(port, "/metrics", "").2, "cryptflow_models"), 0.0);
    }
}

#[test]
fn who_looks_at_the_port() {
    let (mut sites, ports) = watched();
    let [port, ..] = &ports;
    start(&mut sites, 0);
    for path in ["/", "/page.js", "/page.css", "/healthz"] {
        let (status, head, body) = get(port, path, "");
        assert_eq!(status, 200, "{path}");
        assert!(head.contains("Content-Security-Policy: default-src 'none'") && !body.is_empty(), "{head}");
        // Nothing comes from elsewhere.
        assert!(!body.contains("://"), "{body}");
    }
    assert_eq!(get(port, "/nothing", "").0, 404);
    assert_eq!(said(port, "POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").0, 405);
    assert_eq!(said(port, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").2, "");
    assert_eq!(said(port, "no HTTP at all\r\n\r\n").0, 400);
    assert_eq!(said(port, &format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9000))).0, 400);
    // A site whose name leads here all at once.
    assert_eq!(said(port, "GET /status.json HTTP/1.1\r\nHost: evil.example\r\n\r\n").0, 421);
    // Those who say nothing keep nobody out.
    let _silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(port).unwrap()).collect();
    assert_eq!(json(port, "/status.json")["state"]["party"]["index"], 0);
    // Nothing of a key, whole or in part, is anywhere.
    let state = get(port, "/status.json", "").2;
    let key = std::fs::read_to_string(sites.site("p0").join("site.key.pem")).unwrap();
    assert!(key.lines().filter(|line| line.len() > 30).all(|line| !state.contains(line)));

    // With a token, whoever has it.
    sites.kill(0);
    let line = format!("[operator]\nlisten = \"{port}\"\n");
    std::fs::write(sites.site("p0").join("token"), "too-short\n").unwrap();
    sites.edit("p0", &line, &format!("{line}token = \"token\"\n"));
    let party = || {
        let mut command = cryptflow(&["party"]);
        command.arg("--config").arg(sites.config("p0"));
        outcome(command).unwrap_err()
    };
    assert!(party().contains("a token is one line of at least 20 letters"), "{}", party());
    let token = "0123456789abcdef0123456789abcdef";
    std::fs::write(sites.site("p0").join("token"), format!("{token}\n")).unwrap();
    // One that other machines can reach needs one.
    sites.edit("p0", "token = \"token\"\n", "");
    sites.edit("p0", &line, "[operator]\nlisten = \"0.0.0.0:0\"\n");
    assert!(party().contains("which other machines can reach: name a file with a token"), "{}", party());
    sites.edit("p0", "[operator]\nlisten = \"0.0.0.0:0\"\n", &format!("{line}token = \"token\"\n"));
    start(&mut sites, 0);
    let (status, head, _) = get(port, "/metrics", "");
    assert!(status == 401 && head.contains("WWW-Authenticate: Bearer"), "{head}");
    assert_eq!(
        get(port, "/status.json", "Authorization: Bearer 0123456789abcdef0123456789abcdee\r\n").0,
        401
    );
    assert_eq!(get(port, "/metrics", &format!("Authorization: Bearer {token}\r\n")).0, 200);
    assert_eq!(get(port, "/healthz", "").0, 200);
    assert_eq!(get(port, "/", "").0, 200);
    // A node's probe has no token: it hears whether, and not why.
    let (status, _, body) = get(port, "/readyz", "");
    assert!(status == 503 && body.starts_with("not ready") && !body.contains("P1"), "{status} {body}");
    let (status, _, body) = get(port, "/readyz", &format!("Authorization: Bearer {token}\r\n"));
    assert!(status == 503 && body.contains("causes"), "{status} {body}");
    assert!(!sites.log(0).contains(token));
}

#[test]
fn logs_for_programs() {
    let mut sites = Sites::new(false);
    let mut command = cryptflow(&["party", "--log", "json"]);
    command.arg("--config").arg(sites.config("p0"));
    sites.start_command(0, command);
    sites.await_log(0, "is not let in");
    for line in sites.log(0).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["time"].as_str().unwrap().starts_with("20"), "{line}");
        let refused = line["message"].as_str().unwrap().contains("is not let in");
        assert_eq!(line["level"], if refused { "warn" } else { "info" }, "{line}");
    }
    sites.kill(0);
    let before = sites.log(0).len();
    let mut command = cryptflow(&["party", "--log-level", "warn"]);
    command.arg("--config").arg(sites.config("p0"));
    sites.start_command(0, command);
    sites.await_log_after(0, before, "is not let in");
    let log = sites.log(0)[before..].to_string();
    assert!(!log.contains("listens on") && log.contains("Z warn  "), "{log}");
}
