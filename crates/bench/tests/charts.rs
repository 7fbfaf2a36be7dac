//! Charts.

use super::*;
use crate::tests::results;

/// The texts of an XML document; panics where its tags do not match.
fn texts(xml: &str) -> Vec<String> {
    let (mut open, mut texts) = (Vec::new(), Vec::new());
    let mut rest = xml.trim();
    while let Some(start) = rest.find('<') {
        let text = rest[..start].trim();
        assert!(text.is_empty() || !open.is_empty(), "text outside: {text}");
        assert!(!text.contains('>'), "{text}");
        for entity in text.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|e| entity.starts_with(e)), "{text}");
        }
        texts.extend((!text.is_empty()).then(|| text.to_owned()));
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(!tag.contains("NaN") && !tag.contains("inf"), "{tag}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{xml}"),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap_or_default()),
        }
        rest = &rest[end + 1..];
        assert!(!open.is_empty() || rest.is_empty(), "something after the end: {rest}");
    }
    assert!(open.is_empty() && rest.is_empty());
    texts
}

#[test]
fn charts_are_well_formed_and_show_every_number() {
    let results = results();
    let all = [
        (bytes(&results), &["published", "mirror", "porthos", "6.87 GB", "545 MB", "own&lt;net&gt;"][..]),
        (times(&results), &["TensorFlow, in the clear", "30.0 s", "3.00 s", "0.0010 s", "10 s"]),
    ];
    for (svg, expected) in all {
        let texts = texts(&svg);
        for text in expected {
            assert!(texts.iter().any(|t| t == text), "{texts:?} lacks {text}");
        }
    }
}

#[test]
fn a_chart_of_nothing_is_well_formed() {
    let mut results = results();
    results.networks.clear();
    assert_eq!(texts(&times(&results)).first().map(String::as_str), Some("Seconds of one inference"));
}

#[test]
fn longer_bars_are_of_larger_values() {
    let svg = bytes(&results());
    let bar = format!("<rect x=\"{LEFT}\"");
    let widths: Vec<f64> = svg
        .split(&bar)
        .skip(1)
        .map(|l| l.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
        .collect();
    let [published, mirror, porthos, own] = widths[..] else { panic!("{widths:?}") };
    assert!(own < mirror && mirror < porthos && porthos < published && published <= PLOT, "{widths:?}");
}
