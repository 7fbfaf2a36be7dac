//! Prometheus watches three parties, with the path, the token and the alerts that `deploy/` has, and hears what they
//! say themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::TempDir;

use crate::sites::{PATIENCE, Sites, free_address};
use crate::watch::{get, said};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// What does not change while nobody asks for anything.
const COUNTED: [&str; 5] = [
    "cryptflow_sessions",
    "cryptflow_sessions_ended_total",
    "cryptflow_runs_total",
    "cryptflow_rounds_total",
    "cryptflow_sent_bytes_total",
];

fn deploy(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes/components/monitoring");
    std::fs::read_to_string(folder.join(file)).unwrap()
}

/// The rules as a file of Prometheus' own: what stands under `spec`. What must last for minutes lasts for seconds.
fn rules() -> String {
    let text = deploy("rules.yaml");
    let (_, spec) = text.split_once("\nspec:\n").unwrap();
    let line = |line: &str| {
        let line = line.strip_prefix("  ").unwrap_or(line);
        match line.trim_start().strip_prefix("for: ") {
            Some(_) => line.strip_suffix('m').map(|line| format!("{line}s\n")).unwrap(),
            None => format!("{line}\n"),
        }
    };
    spec.lines().map(line).collect()
}

struct Prometheus {
    process: Child,
    address: String,
    _folder: TempDir,
}

impl Prometheus {
    /// It asks those ports for what they say, every second; nothing where it is not installed.
    fn start(ports: &[String; 3]) -> Option<Prometheus> {
        let folder = tempfile::tempdir().unwrap();
        let monitor = deploy("monitor.yaml");
        let path = monitor.lines().find_map(|line| line.trim().strip_prefix("path: ")).unwrap();
        let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
        write("rules.yaml", &rules());
        write("token", TOKEN);
        let targets = ports.join("\", \"");
        write(
            "prometheus.yaml",
            &format!(
                "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yaml]\nscrape_configs:\n  \
                 - job_name: cryptflow\n    metrics_path: {path}\n    authorization: {{ credentials_file: token }}\n    \
                 static_configs: [{{ targets: [\"{targets}\"] }}]\n"
            ),
        );
        let address = free_address();
        let mut command = Command::new("prometheus");
        command.args(["--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--log.level=warn"]);
        command.arg(format!("--web.listen-address={address}")).current_dir(folder.path());
        let log: PathBuf = folder.path().join("log");
        let file = std::fs::File::create(&log).unwrap();
        let Ok(process) = command.stdout(Stdio::null()).stderr(file).spawn() else {
            eprintln!("skipped: prometheus is not installed");
            assert!(std::env::var_os("CRYPTFLOW_PROMETHEUS").is_none(), "prometheus is not installed");
            return None;
        };
        let mut prometheus = Prometheus { process, address, _folder: folder };
        await_that(|| {
            if prometheus.process.try_wait().unwrap().is_some() {
                panic!("prometheus has ended: {}", std::fs::read_to_string(&log).unwrap());
            }
            let there = std::net::TcpStream::connect(&prometheus.address).is_ok();
            if there && prometheus.get("/-/ready").0 == 200 { Ok(()) } else { Err("it is not ready".into()) }
        });
        Some(prometheus)
    }

    fn get(&self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        let (status, _, body) = said(&self.address, &request);
        (status, body)
    }

    /// The values of a query now, by party and labels.
    fn query(&self, query: &str, ports: &[String; 3]) -> Series {
        let path = format!("/api/v1/query?query={}", utf8_percent_encode(query, NON_ALPHANUMERIC));
        let (status, body) = self.get(&path);
        assert_eq!(status, 200, "{query}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        let series = answer["data"]["result"].as_array().unwrap().iter().map(|series| {
            let mut labels: BTreeMap<String, String> =
                serde_json::from_value(series["metric"].clone()).unwrap();
            let instance = labels.remove("instance").unwrap();
            let party = ports.iter().position(|port| *port == instance).unwrap();
            let name = labels.remove("__name__").unwrap_or_default();
            labels.remove("job");
            ((party, name, labels), series["value"][1].as_str().unwrap().parse().unwrap())
        });
        series.collect()
    }

    /// The alerts that are in this state: at which party, and their names.
    fn alerts(&self, state: &str, ports: &[String; 3]) -> Vec<(usize, String)> {
        let query = format!("ALERTS{{alertstate=\"{state}\"}}");
        let alerts = self.query(&query, ports);
        alerts.into_keys().map(|(party, _, labels)| (party, labels["alertname"].clone())).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Values by party, metric and labels.
type Series = BTreeMap<(usize, String, BTreeMap<String, String>), f64>;

/// What the parties say themselves.
fn own(ports: &[String; 3]) -> Series {
    let mut series = Series::new();
    for (party, port) in ports.iter().enumerate() {
        let (status, _, text) = get(port, "/metrics", &format!("Authorization: Bearer {TOKEN}\r\n"));
        assert_eq!(status, 200, "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (what, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = what.split_once('{').unwrap_or((what, "}"));
            if !COUNTED.contains(&name) {
                continue;
            }
            let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
            let labels = labels.map(|(key, value)| (key.into(), value.trim_matches('"').into()));
            series.insert((party, name.into(), labels.collect()), value.parse().unwrap());
        }
    }
    series
}

/// Waits until this is so; it says what is not.
fn await_that(mut holds: impl FnMut() -> Result<(), String>) {
    let end = Instant::now() + PATIENCE;
    while let Err(reason) = holds() {
        assert!(Instant::now() < end, "{reason}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn prometheus_hears_what_the_parties_say() {
    let mut sites = Sites::new(false);
    let ports = [(); 3].map(|()| free_address());
    for (party, port) in ["p0", "p1", "p2"].iter().zip(&ports) {
        let table = format!("[operator]\nlisten = \"{port}\"\ntoken = \"operator.token\"\n[session]\n");
        sites.edit(party, "[session]\n", &table);
        std::fs::write(sites.site(party).join("operator.token"), TOKEN).unwrap();
    }
    sites.start();
    let Some(prometheus) = Prometheus::start(&ports) else { return };
    sites.deploy("mirror").unwrap();
    let report = sites.predict().unwrap();
    sites.predict().unwrap();
    sites.await_rest();

    // All three are there, what they count is what they say, and nothing is wrong.
    let counted = format!("{{__name__=~\"{}\"}}", COUNTED.join("|"));
    await_that(|| {
        let (heard, own) = (prometheus.query(&counted, &ports), own(&ports));
        if heard == own { Ok(()) } else { Err(format!("prometheus: {heard:#?}\nthe parties: {own:#?}")) }
    });
    let heard = prometheus.query(&counted, &ports);
    let sum = |name: &str| heard.iter().filter(|(key, _)| key.1 == name).map(|(_, value)| value).sum::<f64>();
    assert_eq!(sum("cryptflow_sessions"), 0.0);
    assert_eq!(sum("cryptflow_sessions_ended_total"), 6.0);
    let links = report["bytes"]["links"].as_object().unwrap();
    let between = links.iter().filter(|(link, _)| !link.contains("client"));
    let bytes: u64 = between.map(|(_, bytes)| bytes.as_u64().unwrap()).sum();
    assert!(bytes > 0 && sum("cryptflow_rounds_total") > 0.0, "{heard:#?}");
    assert_eq!(sum("cryptflow_sent_bytes_total"), 2.0 * bytes as f64, "{report}");
    await_that(|| {
        let up = prometheus.query("up{job=\"cryptflow\"} == 1", &ports);
        let firing = prometheus.alerts("firing", &ports);
        if up.len() == 3 && firing.is_empty() { Ok(()) } else { Err(format!("{up:?}, {firing:?}")) }
    });

    // A party that is gone: its own alert, and those of the others about it.
    sites.kill(1);
    let down = (1, "CryptflowDown".to_string());
    let mut pending = false;
    await_that(|| {
        pending |= prometheus.alerts("pending", &ports).contains(&down);
        let firing = prometheus.alerts("firing", &ports);
        let of = |name: &str| {
            firing.iter().filter(|alert| alert.1 == name).map(|alert| alert.0).collect::<Vec<_>>()
        };
        let expected = of("CryptflowDown") == [1]
            && of("CryptflowPeerAway") == [0, 2]
            && of("CryptflowNotReady") == [0, 2];
        if expected { Ok(()) } else { Err(format!("{firing:?}")) }
    });
    assert!(pending, "it was not pending first");
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    await_that(|| {
        let firing = prometheus.alerts("firing", &ports);
        if firing.is_empty() { Ok(()) } else { Err(format!("{firing:?}")) }
    });
}
