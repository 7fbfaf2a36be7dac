//! The gateway's page in front of three parties: what it is told is what `cryptflow predict` says.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common;
use crate::gateway::Gateway;
use crate::sites::{PATIENCE, Sites, outcome};

/// Status of the answer to these files, and its lines; the last one alone where that is an error.
fn run(gateway: &Gateway, files: &[(&str, &[u8])]) -> (u16, Vec<Value>) {
    let entries: Vec<Value> =
        files.iter().map(|(name, bytes)| json!({ "name": name, "size": bytes.len() })).collect();
    let head = json!({ "files": entries }).to_string();
    let bytes: Vec<u8> = files.iter().flat_map(|(_, bytes)| *bytes).copied().collect();
    let mut response = Gateway::agent()
        .post(format!("http://{}/page/api/models/tiny/run", gateway.address))
        .header("inference-header-content-length", head.len().to_string())
        .send(&[head.as_bytes(), &bytes].concat()[..])
        .unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (response.status().as_u16(), lines)
}

/// Rows of the model as a table.
fn table(rows: &[[f32; 4]]) -> Vec<u8> {
    let line = |row: &[f32; 4]| row.map(|x| x.to_string()).join(",") + "\n";
    ("a,b,c,d\n".to_string() + &rows.iter().map(line).collect::<String>()).into_bytes()
}

fn floats(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// A site with a deployed model, names of its classes, and a gateway.
fn served(attested: bool) -> (Sites, Gateway, PathBuf) {
    let mut sites = Sites::new(attested);
    sites.start();
    sites.deploy("mirror").unwrap();
    let labels = sites.folder.path().join("labels.txt");
    std::fs::write(&labels, "healthy\nill\nunclear\n").unwrap();
    let named = format!("tiny={}", labels.display());
    let gateway = Gateway::start(&sites, &["--labels", &named, "--patience", "10"]);
    (sites, gateway, labels)
}

#[test]
fn people_are_told_what_the_command_says() {
    let (mut sites, gateway, labels) = served(false);
    let (_, about) = gateway.get("/page/api/about");
    assert_eq!(about["models"], json!(["tiny"]));
    assert_eq!(about["security"]["attested"], false);
    assert_eq!(about["security"]["parties"][2]["fingerprint"], sites.fingerprints[2].to_string());
    let (_, model) = gateway.get("/page/api/models/tiny");
    assert_eq!(model["inputs"], json!([{ "name": "x", "shape": [4], "pictures": false }]));
    let layers = model["layers"].as_array().unwrap().iter();
    let layers: Vec<(&Value, &Value)> = layers.map(|layer| (&layer["name"], &layer["first"])).collect();
    let names = ["hidden", "hidden/relu", "logits"].map(Value::from);
    let firsts = [0, 1, 2].map(Value::from);
    assert_eq!(layers, names.iter().zip(&firsts).collect::<Vec<_>>());

    // Two files at once, of two kinds: five rows, two a batch, all batches at once.
    let rows = common::rows(5);
    let csv = table(&rows[..2]);
    let mut npy = Vec::new();
    let tensor = cryptflow_arrays::npy::Tensor { shape: vec![3, 4], data: rows[2..].concat() };
    cryptflow_arrays::npy::write_npy(&mut npy, &tensor).unwrap();
    let (status, lines) = run(&gateway, &[("a.csv", &csv), ("b.npy", &npy)]);
    assert_eq!(status, 200, "{lines:?}");
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    assert_eq!((of("waiting")[0]["rows"].as_u64(), of("connecting").len()), (Some(5), 1));
    let steps: Vec<u64> = of("step").iter().map(|line| line["done"].as_u64().unwrap()).collect();
    // As many as P0 has the time to tell of; the first at least. Each is one of three batches.
    assert!(
        steps.is_sorted() && steps[0] == 0 && steps.iter().all(|step| [0, 3, 6].contains(step)),
        "{steps:?}"
    );
    assert!(of("step").iter().all(|line| line["of"] == 9), "{lines:?}");
    let answer = lines.last().unwrap();

    let folder = sites.folder.path();
    let files = [("a.csv", csv), ("b.npy", npy)].map(|(name, bytes)| {
        std::fs::write(folder.join(name), bytes).unwrap();
        folder.join(name).to_str().unwrap().to_string()
    });
    let labels = labels.to_str().unwrap();
    let arguments = ["predict", "tiny", "--json", "--labels", labels, "-i", &files[0], &files[1]];
    let said: Value = serde_json::from_str(&outcome(sites.client(&arguments)).unwrap()).unwrap();
    let report = &answer["report"];
    assert_eq!(report["labels"], said["labels"]);
    assert!(report["labels"].as_array().unwrap().contains(&"ill".into()), "{report}");
    assert_eq!(answer["rows"], json!(["a.csv[0]", "a.csv[1]", "b.npy[0]", "b.npy[1]", "b.npy[2]"]));
    let output = &answer["outputs"][0];
    assert_eq!((&output["name"], &output["shape"]), (&json!("softmax"), &json!([5, 3])));
    for (found, row) in floats(&output["data"]).chunks(3).zip(&rows) {
        let powers = common::expected(row).map(|logit| f64::from(logit).exp());
        for (found, power) in found.iter().zip(powers) {
            assert!((found - power / powers.iter().sum::<f64>()).abs() <= 0.01, "{answer}");
        }
    }

    // What was sent to whom, and what was proved: nothing.
    assert_eq!((&report["session"]["security"], &answer["proved"]), (&json!("semi-honest"), &json!([])));
    let between = |report: &Value| report["bytes"]["links"]["p0_p1"].as_u64().unwrap();
    assert_eq!(between(report), between(&said));
    let exchanged = answer["exchanged"].as_array().unwrap();
    let sum = |what: &str| exchanged.iter().map(|party| party[what].as_u64().unwrap()).sum::<u64>();
    assert!(exchanged.len() == 3 && sum("received") > 0, "{exchanged:?}");
    assert_eq!(report["bytes"]["share"], sum("sent"));

    // What is wrong with a file is said in the client's own words.
    for (name, bytes, says) in [
        ("a.csv", b"1,2,3\n" as &[u8], "has 3 columns, and the input \"x\" needs 4"),
        ("a.csv", b"1,2,3,4\n1,2,3,d\n", "line 2, column 4 holds \"d\""),
        ("a.npy", b"\x93NUMPY\x01\0", "cannot read a.npy"),
        ("a.png", b"", "it is empty"),
        ("a.gif", b"GIF89a", "a GIF picture"),
    ] {
        let (status, lines) = run(&gateway, &[(name, bytes)]);
        let said = lines[0]["error"].as_str().unwrap();
        assert!(status == 400 && said.contains(says), "{said}\nlacks {says}");
    }
    assert_eq!(run(&gateway, &[]).0, 400);

    // A party that is gone is named; once it is back, the same files have their answer.
    sites.kill(1);
    let (status, lines) = run(&gateway, &[("a.csv", &table(&rows))]);
    let last = lines.last().unwrap();
    let said = last["error"].as_str().unwrap();
    assert!((status, last["status"].as_u64()) == (200, Some(503)) && said.contains("P1"), "{last}");
    // What is waited for is told meanwhile.
    let told = lines.iter().any(|line| line["event"] == "delayed" || line["event"] == "again");
    assert!(told, "{lines:?}");
    sites.start_with(1, std::path::Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    let (_, lines) = run(&gateway, &[("a.csv", &table(&rows))]);
    assert_eq!(lines.last().unwrap()["event"], "answer", "{lines:?}");
}

/// Asks for rows, and reads what is said until a line has this; the status, and the connection, whose end is that
/// nobody waits for the answer.
pub(crate) fn ask(gateway: &Gateway, rows: usize, until: &str) -> (String, TcpStream) {
    let csv = table(&common::rows(rows));
    let head = json!({ "files": [{ "name": "a.csv", "size": csv.len() }] }).to_string();
    let mut stream = TcpStream::connect(&gateway.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "POST /page/api/models/tiny/run HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ninference-header-content-length: {}\r\n\
         content-length: {}\r\n\r\n{head}",
        head.len(),
        head.len() + csv.len()
    );
    stream.write_all(&[request.as_bytes(), &csv].concat()).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut said = String::new();
    while lines.read_line(&mut said).unwrap() > 0 {
        if said.lines().last().unwrap().contains(until) {
            break;
        }
    }
    (said.split(' ').nth(1).unwrap_or_default().into(), stream)
}

/// Whoever waits no more gives back a place in the line, and the session that computes for them.
#[test]
fn who_stops_waiting_is_in_nobodys_way() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    let gateway = Gateway::start(&sites, &["--sessions", "1", "--queue", "1"]);
    // This takes longer than anything here waits.
    let (status, running) = ask(&gateway, 200_000, "\"step\"");
    assert_eq!(status, "200");
    let (status, waiting) = ask(&gateway, 1, "\"waiting\"");
    assert_eq!(status, "200");
    let busy = |gateway: &Gateway| run(gateway, &[("a.csv", &table(&common::rows(1)))]).0;
    assert_eq!(busy(&gateway), 429);
    // The place in the line is free again; that in the session, too, once the one who has it goes.
    drop(waiting);
    let end = Instant::now() + PATIENCE;
    let next = loop {
        match ask(&gateway, 1, "\"waiting\"") {
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

/// Where parties prove what they run, the page says of each what that was.
#[test]
fn what_parties_have_proved_is_shown() {
    let (_sites, gateway, _) = served(true);
    let (_, about) = gateway.get("/page/api/about");
    let security = &about["security"];
    assert_eq!((&security["attested"], &security["simulated"]), (&json!(true), &json!(true)));
    let (_, lines) = run(&gateway, &[("a.csv", &table(&common::rows(1)))]);
    let answer = lines.last().unwrap();
    let proved = answer["proved"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let simulated = |text: &Value| text.as_str().unwrap().contains("SIMULATED");
    assert!(proved.len() == 3 && proved.iter().all(simulated), "{proved:?}");
    assert_eq!(answer["report"]["session"]["security"], "insecure-simulated");
}

/// Names of classes are for a model that is served, and for as many classes as it has.
#[test]
fn labels_go_with_a_model() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    let file = sites.folder.path().join("labels.txt");
    std::fs::write(&file, "yes\nno\n").unwrap();
    let of = |model: &str| format!("{model}={}", file.display());
    for (labels, says) in [
        (of("other"), "is for the model \"other\", which is not served here: tiny is"),
        (of("tiny"), "holds 2 labels, the model has 3 classes"),
        ("tiny".into(), "MODEL=FILE is wanted"),
    ] {
        let said = outcome(sites.client(&["gateway", "--listen", "127.0.0.1:0", "--labels", &labels]));
        let said = said.unwrap_err();
        assert!(said.contains(says), "{said}\nlacks {says}");
    }
}
