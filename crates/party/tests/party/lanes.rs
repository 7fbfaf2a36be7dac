//! Where the lanes of a party are.

use cryptflow_party::config::Config;
use cryptflow_party::lanes::Lane;

/// A configuration of P1 with three lanes, in which something stands in another's place.
fn read(from: &str, to: &str, lane: Lane) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let keys: Vec<String> = ["p0", "p1", "p2"]
        .iter()
        .map(|name| {
            let at = folder.path().join(name);
            std::fs::create_dir(&at).unwrap();
            crate::audit::identity(&at).fingerprint().to_string()
        })
        .collect();
    let mut text = "[site]\nrole = \"p1\"\ncertificate = \"p1/cert.pem\"\nkey = \"p1/key.pem\"\nlanes = 3\n\
                    listen = \"0.0.0.0:7000\"\n"
        .to_string();
    for (index, key) in keys.iter().enumerate() {
        text += &format!("[p{index}]\naddress = \"p{index}.example.org:7000\"\nfingerprint = \"{key}\"\n");
    }
    assert!(text.contains(from), "{text}");
    let path = folder.path().join("cryptflow.toml");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    Config::read_lane(&path, lane).map_err(|error| error.to_string())
}

#[test]
fn lanes_have_ports_folders_and_files_of_their_own() {
    let lane = |lane| read("", "", lane).unwrap();
    let (first, third) = (lane(Lane::First), lane(Lane::Number(2)));
    assert_eq!((first.lane, third.lane), ((0, 3), (2, 3)));
    let addresses = |config: &Config| config.parties.iter().map(|p| p.address.clone()).collect::<Vec<_>>();
    assert_eq!(addresses(&first), ["p0.example.org:7000", "p1.example.org:7000", "p2.example.org:7000"]);
    assert_eq!(addresses(&third), ["p0.example.org:7002", "p1.example.org:7002", "p2.example.org:7002"]);
    assert_eq!(first.listen.as_deref(), Some("0.0.0.0:7000"));
    assert_eq!(third.listen.as_deref(), Some("0.0.0.0:7002"));
    let names = |config: &Config| {
        [&config.store, &config.audit].map(|path| path.file_name().unwrap().to_str().unwrap().to_string())
    };
    assert_eq!(names(&first), ["store", "audit.jsonl"]);
    assert_eq!(names(&third), ["store-2", "audit-2.jsonl"]);
}

/// Where each lane has a name, all listen at the same port.
#[test]
fn lanes_have_names_where_the_address_says_so() {
    let config = read("p1.example.org", "lane-{lane}.p1.example.org", Lane::Number(1)).unwrap();
    assert_eq!(config.parties[1].address, "lane-1.p1.example.org:7000");
    assert_eq!(config.parties[0].address, "p0.example.org:7001");
    assert_eq!(config.listen.as_deref(), Some("0.0.0.0:7000"));
    let config = read("lanes = 3", "lanes = 3\nstore = \"lane-{lane}/store\"", Lane::Number(1)).unwrap();
    assert!(config.store.ends_with("lane-1/store"));
}

#[test]
fn lanes_that_are_not_there() {
    let error = read("", "", Lane::Number(3)).unwrap_err();
    assert!(error.contains("lane 3 is none of this site's: site.lanes is 3"), "{error}");
    let error = read("lanes = 3", "lanes = 0", Lane::First).unwrap_err();
    assert!(error.contains("there is one lane at least"), "{error}");
    let error = read("p0.example.org:7000", "p0.example.org:65534", Lane::Number(2)).unwrap_err();
    assert!(error.contains("p0.address: p0.example.org:65534 has no port for lane 2"), "{error}");
    assert_eq!("auto".parse(), Ok(Lane::OfHost));
    assert_eq!("2".parse(), Ok(Lane::Number(2)));
    assert!("two".parse::<Lane>().unwrap_err().contains("is no lane"));
}

/// A time that no clock can tell is refused when it is read, not when it comes.
#[test]
fn times_that_are_too_long() {
    for name in ["deadline_seconds", "idle_seconds", "drain_seconds"] {
        for time in ["1e19", "1e300", "inf", "-1", "0"] {
            let session = format!("[session]\n{name} = {time}\n[p0]\n");
            let error = read("[p0]\n", &session, Lane::First).unwrap_err();
            assert!(error.contains(&format!("session.{name}")) && error.contains("a year's"), "{error}");
        }
    }
}
