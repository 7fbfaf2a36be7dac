//! The page, and what it asks.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};

use cryptflow_gateway::keys::{self, Keys};
use serde_json::{Value, json};

use crate::served::Served;

const RUN: &str = "/page/api/models/twice/run";

/// A body with these files.
fn body(files: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let entries: Vec<Value> =
        files.iter().map(|(name, bytes)| json!({ "name": name, "size": bytes.len() })).collect();
    let head = json!({ "files": entries }).to_string();
    let bytes: Vec<u8> = files.iter().flat_map(|(_, bytes)| *bytes).copied().collect();
    (head.len().to_string(), [head.as_bytes(), &bytes].concat())
}

/// Status and lines of the answer to these files.
fn run(served: &Served, files: &[(&str, &[u8])]) -> (u16, Vec<Value>) {
    let (length, body) = body(files);
    let (status, _, bytes) = served.post(RUN, &[("inference-header-content-length", &length)], &body);
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    (status, lines.map(|line| serde_json::from_slice(line).unwrap()).collect())
}

/// Nothing of the page comes from elsewhere, and its policy forbids it.
#[test]
fn the_page_is_its_own() {
    let served = Served::new();
    let mut seen: Vec<String> = Vec::new();
    let mut next = vec![("/".to_string(), "text/html")];
    while let Some((path, form)) = next.pop() {
        let response = ureq::get(served.url(&path)).call().unwrap();
        let headers = response.headers().clone();
        let header = |name: &str| headers[name].to_str().unwrap().to_string();
        assert!(header("content-type").starts_with(form), "{path}");
        let policy = header("content-security-policy");
        let takes = policy.split("; ").map(|rule| rule.split_once(' ').unwrap());
        for (rule, sources) in takes {
            let ours = sources.split(' ').all(|source| ["'none'", "'self'", "blob:"].contains(&source));
            assert!(ours, "{path}: {rule} {sources}");
        }
        assert!(policy.starts_with("default-src 'none'") && header("x-content-type-options") == "nosniff");
        let text = response.into_body().read_to_string().unwrap();
        // Of addresses there is the name of a form of pictures, and no other.
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for foreign in ["http:", "https:", "innerHTML", "style=", "onclick"] {
            assert!(!text.contains(foreign), "{path} has {foreign}");
        }
        // Whatever a file names is there as well.
        for quoted in text.split('"') {
            let named = quoted.strip_prefix("./").map(|name| format!("/page/{name}"));
            let named = named.or_else(|| quoted.starts_with("/page/").then(|| quoted.to_string()));
            let Some(named) = named.filter(|named| !named.starts_with("/page/api") && !seen.contains(named))
            else {
                continue;
            };
            seen.push(named.clone());
            let form = match named.rsplit_once('.').unwrap().1 {
                "js" => "text/javascript",
                "css" => "text/css",
                "svg" => "image/svg+xml",
                other => panic!("{named} is {other}"),
            };
            next.push((named, form));
        }
    }
    assert_eq!(seen.len(), 13, "{seen:?}");
    let without = Served::without_page();
    for path in ["/", "/page/page.js", "/page/api/about"] {
        assert_eq!(without.get(path, &[]).0, 404, "{path}");
    }
}

#[test]
fn files_are_run_and_what_happens_is_told() {
    let served = Served::new();
    let (_, about) = served.get("/page/api/about", &[]);
    assert_eq!((&about["models"], &about["longest"]), (&json!(["twice", "other"]), &json!(65536)));
    assert_eq!(about["security"]["parties"][1]["name"], "B");
    assert_eq!(served.get("/page/api/models/twice", &[]).1["outputs"], json!(["y"]));
    assert_eq!(served.get("/page/api/models/none", &[]).0, 404);

    let (status, lines) = run(&served, &[("a.png", b"123"), ("b.png", b"")]);
    let events: Vec<&Value> = lines.iter().map(|line| &line["event"]).collect();
    assert_eq!((status, events), (200, vec![&json!("waiting"), &json!("step"), &json!("answer")]));
    let answer = &lines[2];
    assert_eq!(answer["outputs"][0]["data"], json!([3.0, 0.0]));
    assert_eq!(answer["rows"], json!(["a.pngNone", "b.pngNone"]));
    assert_eq!(answer["warnings"], json!(["take care"]));
}

#[test]
fn what_is_wrong_is_said_as_soon_as_it_is_known() {
    let served = Served::new();
    // Before anything runs it is the status of the answer; afterwards its last line.
    let (status, lines) = run(&served, &[("bad", b"1")]);
    assert_eq!((status, &lines[0]["error"]), (400, &json!("bad is no picture")));
    let (status, lines) = run(&served, &[("lost", b"1")]);
    let failure = json!({ "event": "failure", "status": 503, "error": "B is gone" });
    assert_eq!((status, lines.last()), (200, Some(&failure)));
    // A defect ends the answer without a last line, and nothing else.
    let (status, lines) = run(&served, &[("defect", b"1")]);
    assert_eq!((status, &lines.last().unwrap()["event"]), (200, &json!("step")));
    let (_, whole) = body(&[("a", b"1234")]);
    let length = (whole.len() - 4).to_string();
    let table: [(&str, &[u8], &str); 6] = [
        (&length, &whole[..whole.len() - 1], "a has 4 bytes, and 3 are left"),
        (&length, &[&whole[..], b"5"].concat(), "1 bytes of the body belong to no file"),
        ("9999", &whole, "9999 bytes"),
        ("x", &whole, "is no number"),
        (&length, &[b'{'; 99], "malformed"),
        ("40", br#"{"files": [{"name": "a", "length": 1}]}1"#, "malformed"),
    ];
    for (length, body, says) in table {
        let (status, _, said) = served.post(RUN, &[("inference-header-content-length", length)], body);
        let said = String::from_utf8(said).unwrap();
        assert!(status == 400 && said.contains(says), "{said}\nlacks {says}");
    }
    let (length, long) = body(&[("a", &[0; 1 << 16])]);
    let (status, ..) = served.post(RUN, &[("inference-header-content-length", &length)], &long);
    assert_eq!(status, 413);
}

/// A request that waits takes a place, as those of programs do, and what happens comes while it waits.
#[test]
fn places_hold_for_the_page() {
    let served = Served::with(None, None, 1);
    let (length, waiting) = body(&[("wait", b"1")]);
    let response = ureq::post(served.url(RUN))
        .header("inference-header-content-length", &length)
        .send(&waiting[..])
        .unwrap();
    let mut lines = BufReader::new(response.into_body().into_reader()).lines();
    assert!(lines.next().unwrap().unwrap().contains("waiting"));
    let (status, _) = run(&served, &[("a", b"1")]);
    assert_eq!(status, 429);
    *served.go.0.lock().unwrap() = true;
    served.go.1.notify_all();
    assert!(lines.last().unwrap().unwrap().contains("answer"));
    assert_eq!(run(&served, &[("a", b"1")]).0, 200);
}

#[test]
fn the_page_is_open_and_what_it_asks_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.toml");
    let one = keys::add(&file, "one", Some(BTreeSet::from(["other".to_string()]))).unwrap();
    let served = Served::with(Some(Keys::read(&file).unwrap()), None, 8);
    for path in ["/", "/page/page.js", "/page/page.css"] {
        assert_eq!(ureq::get(served.url(path)).call().unwrap().status(), 200);
    }
    for path in ["/page/api/about", "/page/api/models/other", "/page/api", "/page"] {
        assert_eq!(served.get(path, &[]).0, 401, "{path}");
    }
    let key = ("X-API-Key", one.as_str());
    assert_eq!(served.get("/page/api/about", &[key]).1["models"], json!(["other"]));
    assert_eq!(served.get("/page/api/models/twice", &[key]).0, 404);
    let (length, body) = body(&[("a", b"1")]);
    let headers = [key, ("inference-header-content-length", length.as_str())];
    assert_eq!(served.post(RUN, &headers, &body).0, 404);
    // What the page of another site has a browser send is refused, key or none.
    for (from, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        assert_eq!(served.get("/page/api/about", &[key, ("Sec-Fetch-Site", from)]).0, status, "{from}");
    }
}
