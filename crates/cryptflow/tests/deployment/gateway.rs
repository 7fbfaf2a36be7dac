//! A gateway in front of three parties: programs that know nothing of these get their answers.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common;
use crate::page;
use crate::sites::{PATIENCE, Sites, free_address, outcome};
use crate::watch;

/// A gateway's process, and where it listens.
pub(crate) struct Gateway {
    process: Child,
    pub(crate) address: String,
}

impl Gateway {
    pub(crate) fn start(sites: &Sites, more: &[&str]) -> Gateway {
        let mut command = sites.client(&["gateway", "--listen", "127.0.0.1:0"]);
        let mut process = command.args(more).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(process.stderr.take().unwrap());
        while !said.contains("serving ") {
            said.clear();
            assert!(lines.read_line(&mut said).unwrap() > 0, "it ends before it serves");
        }
        // What else it says is read, so that it never waits.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let address = said.split("http://").nth(1).unwrap().split_whitespace().next().unwrap().to_string();
        Gateway { process, address }
    }

    pub(crate) fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).build().into()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        let mut response = Gateway::agent().get(format!("http://{}{path}", self.address)).call().unwrap();
        (response.status().as_u16(), serde_json::from_reader(response.body_mut().as_reader()).unwrap())
    }

    fn infer(&self, request: &Value) -> (u16, Value) {
        let body = serde_json::to_vec(request).unwrap();
        let address = format!("http://{}/v2/models/tiny/infer", self.address);
        let mut response = Gateway::agent().post(address).send(&body[..]).unwrap();
        (response.status().as_u16(), serde_json::from_reader(response.body_mut().as_reader()).unwrap())
    }

    /// Sends rows, and holds the answer against the float model's.
    pub(crate) fn answers(&self, count: usize) {
        let rows = common::rows(count);
        let (_, told) = self.get("/v2/models/tiny");
        assert_eq!(told["inputs"][0]["shape"], json!([-1, 4]), "{told}");
        assert_eq!(told["outputs"][0]["shape"], json!([-1, 3]), "{told}");
        let (status, answer) = self.infer(&request(&told["inputs"][0]["name"], &rows));
        assert_eq!(status, 200, "{answer}");
        let output = &answer["outputs"][0];
        assert_eq!(output["shape"], json!([count, 3]));
        let found: Vec<f64> =
            output["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        // What the model itself returns: its softmax.
        for (found, row) in found.chunks(3).zip(&rows) {
            let powers = common::expected(row).map(|logit| f64::from(logit).exp());
            for (found, power) in found.iter().zip(powers) {
                assert!((found - power / powers.iter().sum::<f64>()).abs() <= 0.01, "{answer}");
            }
        }
    }
}

fn request(name: &Value, rows: &[[f32; 4]]) -> Value {
    json!({ "inputs": [{ "name": name, "shape": [rows.len(), 4], "datatype": "FP32", "data": rows }] })
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What could be reached from other machines says so, before anything is there.
#[test]
fn nothing_is_open_to_everybody_by_mistake() {
    let sites = Sites::new(false);
    let table: [(&[&str], &str); 4] = [
        (&["--listen", "0.0.0.0:0"], "inputs would go there in the clear"),
        (&["--listen", "[::]:0", "--insecure-cleartext"], "anybody there could ask"),
        (
            &["--listen", "0.0.0.0:0", "--tls-cert", "none.pem", "--tls-key", "none.pem"],
            "anybody there could ask",
        ),
        (&["--keys", "none.toml"], "none.toml"),
    ];
    for (arguments, reason) in table {
        let said =
            outcome(sites.client(&[&["gateway", "--models", "tiny"], arguments].concat())).unwrap_err();
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}

#[test]
fn programs_get_answers_and_parties_may_come_and_go() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    let gateway = Gateway::start(&sites, &["--sessions", "1"]);
    assert_eq!(gateway.get("/v2/models").1, json!({ "models": ["tiny"] }));
    for rows in [1, 3, 5] {
        gateway.answers(rows);
    }
    // One session served all of them.
    let log = std::fs::read_to_string(sites.site("p0").join("audit.jsonl")).unwrap();
    assert_eq!(log.matches("\"finished\"").count(), 0, "{log}");

    // What is deployed in its place is found, while a session is open.
    sites.deploy("porthos-exact").unwrap();
    let end = Instant::now() + PATIENCE;
    while gateway.get("/v2/models/tiny").1["platform"] != "cryptflow_porthos-exact" {
        assert!(Instant::now() < end, "the gateway serves what was deployed before");
        std::thread::sleep(Duration::from_millis(200));
    }
    gateway.answers(2);
    let log = std::fs::read_to_string(sites.site("p0").join("audit.jsonl")).unwrap();
    assert_eq!(log.matches("\"finished\"").count(), 1, "{log}");

    // A party that was away is no error, once it is back.
    sites.kill(1);
    sites.start_with(1, std::path::Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    gateway.answers(2);
    // One that stays away is, in time, by name.
    sites.kill(2);
    let begun = Instant::now();
    let (status, said) = gateway.infer(&request(&"x".into(), &common::rows(1)));
    let said = said["error"].as_str().unwrap().to_string();
    assert!((status, begun.elapsed() < PATIENCE) == (503, true) && said.contains("P2"), "{status} {said}");
    assert_eq!(gateway.get("/v2/health/live").0, 200);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(gateway.get("/v2/health/ready").0, 503);
    sites.start_with(2, std::path::Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    gateway.answers(1);
}

/// What a party refuses is said soon, however patient the gateway is: it will be refused again.
#[test]
fn what_parties_refuse_is_not_tried_for_long() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.kill(1);
    sites.edit("p1", "\"mirror\", \"porthos\", \"porthos-exact\"", "\"porthos\"");
    sites.start_with(1, std::path::Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    let gateway = Gateway::start(&sites, &["--patience", "6000"]);
    let (status, said) = gateway.infer(&request(&"x".into(), &common::rows(1)));
    assert!(status == 503 && said["error"].as_str().unwrap().contains("P1 does not run mirror"), "{said}");
}

/// Asks for rows as a program does; the connection, whose end is that nobody waits for the answer.
fn asked(gateway: &Gateway, rows: usize) -> TcpStream {
    let body = serde_json::to_vec(&request(&"x".into(), &common::rows(rows))).unwrap();
    let head = format!(
        "POST /v2/models/tiny/infer HTTP/1.1\r\nhost: gateway\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(&gateway.address).unwrap();
    stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    stream
}

/// A program that goes gives back its place in the line, and the session that computes for it.
#[test]
fn programs_that_go_are_in_nobodys_way() {
    let mut sites = Sites::new(false);
    let port = free_address();
    sites.edit("p0", "[session]\n", &format!("[operator]\nlisten = \"{port}\"\n[session]\n"));
    sites.start();
    sites.deploy("mirror").unwrap();
    let gateway = Gateway::start(&sites, &["--sessions", "1", "--queue", "1"]);
    // This takes longer than anything here waits.
    let running = asked(&gateway, 200_000);
    let end = Instant::now() + PATIENCE;
    let runs = || -> Option<u64> {
        let said: Value = serde_json::from_str(&watch::get(&port, "/status.json", "").2).unwrap();
        said["state"]["sessions"][0]["runs"].as_u64()
    };
    while runs().unwrap_or_default() == 0 {
        assert!(Instant::now() < end, "nothing is run");
        std::thread::sleep(Duration::from_millis(20));
    }
    // The one session is taken: this waits in the line, in which nobody else has room.
    let waiting = asked(&gateway, 1);
    while page::ask(&gateway, 1, "\"waiting\"").0 != "429" {
        assert!(Instant::now() < end, "there is room for ever more");
    }
    drop(waiting);
    let next = loop {
        match page::ask(&gateway, 1, "\"waiting\"") {
            (status, stream) if status == "200" => break stream,
            (status, _) => assert_eq!(status, "429"),
        }
        assert!(Instant::now() < end, "the place in the line is never free");
        std::thread::sleep(Duration::from_millis(20));
    };
    drop(running);
    let answered = BufReader::new(next).lines().map(Result::unwrap).find(|line| line.contains("\"answer\""));
    assert!(answered.is_some());
    sites.await_log(0, "whoever asked waits no more");
    gateway.answers(3);
}
