//! The file of a calibration.

use super::*;

#[test]
fn the_file_is_in_the_folder_of_caches() {
    let at = |cache: Option<&str>, home: Option<&str>| {
        let (cache, home) = (cache.map(OsString::from), home.map(OsString::from));
        usual_path(|name| match name {
            "XDG_CACHE_HOME" => cache.clone(),
            "HOME" => home.clone(),
            _ => None,
        })
    };
    let path = |path: &str| PathBuf::from(path);
    assert_eq!(at(Some("/c"), Some("/h")).unwrap(), path("/c/cryptflow/machine.json"));
    assert_eq!(at(None, Some("/h")).unwrap(), path("/h/.cache/cryptflow/machine.json"));
    for cache in ["", "relative"] {
        assert_eq!(at(Some(cache), Some("/h")).unwrap(), path("/h/.cache/cryptflow/machine.json"));
    }
    let error = at(Some(""), None).unwrap_err().to_string();
    assert!(error.contains("--calibration"), "{error}");
}

#[test]
fn what_is_no_calibration_says_what_to_do() {
    let folder = std::env::temp_dir().join(format!("cryptflow-calibration-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("machine.json");
    let one = Pace { run: 1e-3, alone: 0.5, ..Pace::default() };
    let of = OfProtocol { one, ..OfProtocol::default() };
    let good = Calibration {
        version: VERSION,
        cpu: "some".into(),
        protocols: BTreeMap::from([("mirror".to_string(), of)]),
        ..Calibration::default()
    };
    let text = serde_json::to_string(&good).unwrap();
    let table = [
        (None, "there is no calibration of this machine yet"),
        (Some("{}".to_string()), "make one anew"),
        (Some(text.replace("\"version\":2", "\"version\":1")), "its version is 1"),
        (Some(text.replace("0.001", "-0.001")), "a number of mirror is no time"),
        (Some(text[..text.len() / 2].to_string()), "make one anew"),
    ];
    for (text, expected) in table {
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => drop(std::fs::remove_file(&file)),
        }
        let error = Calibration::read(&file).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("cryptflow bench machine"), "{expected}: {error}");
    }
    std::fs::write(&file, text).unwrap();
    assert_eq!(Calibration::read(&file).unwrap(), good);
    assert!(matches!(Calibration::read(&folder), Err(CalibrationError::Unreadable(..))));
    std::fs::remove_dir_all(&folder).unwrap();
}
