//! What all parties keep, as tables and as JSON.

use crate::error::{Error, Result};
use crate::remote::Site;
use crate::standing::Standing;
use cryptflow_figures::table::{bytes, with_header};
use cryptflow_figures::time::utc;
use cryptflow_party::stock::Stocked;
use cryptflow_party::versions::{Content, Kept, Version};
use serde_json::{Value, json};

/// As many digits of a digest as tell models apart.
pub(super) const DIGITS: usize = 16;

/// All models. What was half done is finished where that can be.
pub(super) fn list(site: &Site, json: bool) -> Result<()> {
    let mut listing = site.listing()?;
    for standing in listing.standings.iter_mut().filter(|standing| !standing.unfinished().is_empty()) {
        *standing = site.finished(&standing.name)?;
    }
    let dealt = Dealt::of(site, None);
    if json {
        let models: Vec<Value> =
            listing.standings.iter().map(|standing| model(site, standing, &dealt)).collect();
        let report = json!({ "models": models, "missing": listing.missing });
        return super::super::print(&serde_json::to_string_pretty(&report).map_err(Error::new)?);
    }
    let there = listing.standings.iter().filter(|standing| !is_gone(standing));
    let rows: Vec<[String; 7]> = there.map(|standing| row(site, standing, &dealt)).collect();
    let mut text = match rows.is_empty() {
        true => "no model is deployed for this client\n".to_string(),
        false => {
            let header = ["model", "version", "protocol", "digest", "deployed (UTC)", "dealt ahead", "state"];
            with_header(header, rows, 1..2)
        }
    };
    for missing in &listing.missing {
        text += &format!("{missing}\n");
    }
    super::super::print(&text)
}

/// All versions of one model.
pub(super) fn show(site: &Site, model: &str, json: bool) -> Result<()> {
    let standing = site.finished(model)?;
    if standing.parties.iter().all(Vec::is_empty) {
        return Err(Error::new(format!("no model {model:?} is deployed")));
    }
    let dealt = Dealt::of(site, Some(model));
    if json {
        let report = self::model(site, &standing, &dealt);
        return super::super::print(&serde_json::to_string_pretty(&report).map_err(Error::new)?);
    }
    let current = standing.current().map(|version| version.generation);
    let rows = all(&standing).into_iter().map(|version| {
        let mark = if Some(version.generation) == current { "used" } else { "" };
        let each = standing.parties.iter().enumerate().map(|(party, kept)| {
            let kept = kept.iter().find(|kept| kept.version.is(version));
            format!("{} {}", site.config().party_name(party), state(kept))
        });
        let (protocol, digest, size) = content(version);
        let each: Vec<String> = each.collect();
        [
            version.generation.to_string(),
            mark.to_string(),
            protocol,
            digest,
            size,
            utc(version.time),
            version.client.clone(),
            each.join(", "),
        ]
    });
    let header = ["version", "", "protocol", "digest", "size", "deployed (UTC)", "by", "parties"];
    let mut text = with_header(header, rows, 0..1);
    if let Some(reason) = half_done(site, &standing) {
        text += &format!("{reason}\n");
    }
    for (party, stocks) in dealt.0.iter().enumerate() {
        for stock in stocks.iter().flatten() {
            let name = site.config().party_name(party);
            let what = match &stock.found {
                Ok(_) => {
                    format!("{} runs that were dealt ahead are left, {}", stock.left(), bytes(stock.bytes))
                }
                Err(reason) => reason.clone(),
            };
            text += &format!("{name}: {what}\n");
        }
    }
    super::super::print(&text)
}

/// What each party says of runs that were dealt ahead; nothing where it cannot, as it is older, or away.
struct Dealt(Vec<Option<Vec<Stocked>>>);

impl Dealt {
    fn of(site: &Site, model: Option<&str>) -> Dealt {
        Dealt(site.stocks(model).into_iter().map(std::result::Result::ok).collect())
    }

    /// How many of a model are left at each party that keeps such, or can say that it keeps none; nothing where none is
    /// kept anywhere.
    fn left(&self, model: &str) -> Vec<(usize, u64)> {
        let of = |stocks: &[Stocked]| -> Option<u64> {
            let mut stocks = stocks.iter().filter(|stock| stock.model == model).peekable();
            stocks.peek()?;
            Some(stocks.map(Stocked::left).sum())
        };
        let each = self.0.iter().enumerate();
        each.filter_map(|(party, stocks)| Some((party, of(stocks.as_ref()?)?))).collect()
    }
}

/// Whether nothing is left of a model, but that it was removed.
fn is_gone(standing: &Standing) -> bool {
    let newer = standing.parties.iter().flatten().any(|kept| kept.version.content != Content::Removed);
    !newer && standing.current().is_some()
}

/// All versions that any party has, the newest first.
fn all(standing: &Standing) -> Vec<&Version> {
    let mut all: Vec<&Version> = Vec::new();
    for kept in standing.parties.iter().flatten() {
        if !all.iter().any(|version| version.is(&kept.version)) {
            all.push(&kept.version);
        }
    }
    all.sort_by_key(|version| std::cmp::Reverse(version.generation));
    all
}

fn row(site: &Site, standing: &Standing, dealt: &Dealt) -> [String; 7] {
    let said = half_done(site, standing);
    let name = standing.name.clone();
    let left = dealt.left(&name);
    let left = left.iter().map(|(party, left)| format!("P{party} {left}")).collect::<Vec<_>>().join(", ");
    match standing.current() {
        Some(version) => {
            let (protocol, digest, _) = content(version);
            let state = said.unwrap_or_else(|| "at all parties".into());
            [name, version.generation.to_string(), protocol, digest, utc(version.time), left, state]
        }
        None => {
            let state = said.unwrap_or_else(|| "no version is at all parties: deploy it again".into());
            [name, "none".into(), String::new(), String::new(), String::new(), left, state]
        }
    }
}

/// Protocol, digest and size of a version.
pub(super) fn content(version: &Version) -> (String, String, String) {
    match &version.content {
        Content::Deployed { digest, protocol, bytes: size } => {
            let digest: String = hex::encode(digest).chars().take(DIGITS).collect();
            (protocol.to_string(), digest, bytes(*size))
        }
        Content::Removed => ("removed".into(), String::new(), String::new()),
    }
}

/// How a version stands at a party.
pub(super) fn state(kept: Option<&Kept>) -> &str {
    match kept {
        None => "none",
        Some(Kept { trouble: Some(_), committed: true, .. }) => "damaged",
        Some(Kept { committed: true, .. }) => "has it",
        Some(Kept { committed: false, .. }) => "staged",
    }
}

/// What was begun and is not at all parties.
fn half_done(site: &Site, standing: &Standing) -> Option<String> {
    let damaged = standing.parties.iter().flatten().find_map(|kept| {
        let is_used = standing.current().is_some_and(|version| version.is(&kept.version));
        kept.trouble.clone().filter(|_| is_used)
    });
    if damaged.is_some() {
        return damaged;
    }
    if let Some((version, without)) = standing.behind(&site.config().parties) {
        let without: Vec<String> = without.iter().map(|&party| site.config().party_name(party)).collect();
        return Some(format!("version {} is not at {}", version.generation, without.join(", ")));
    }
    let used = standing.current().map_or(0, |version| version.generation);
    let newest = all(standing).first().map(|version| version.generation).filter(|newest| *newest > used);
    newest.map(|newest| {
        format!("version {newest} was begun and never decided; the next deployment replaces it")
    })
}

/// A model as JSON.
fn model(site: &Site, standing: &Standing, dealt: &Dealt) -> Value {
    let versions = all(standing).into_iter().map(|version| {
        let parties: Vec<&str> = standing
            .parties
            .iter()
            .map(|kept| state(kept.iter().find(|kept| kept.version.is(version))))
            .collect();
        let mut object = version_json(version);
        if let Some(object) = object.as_object_mut() {
            object.insert("parties".into(), json!(parties));
        }
        object
    });
    let left = dealt.left(&standing.name).into_iter();
    let left: serde_json::Map<_, _> = left.map(|(party, left)| (format!("p{party}"), json!(left))).collect();
    json!({
        "model": standing.name,
        "version": standing.current().map(|version| version.generation),
        "deployment": standing.deployment().map(hex::encode),
        "half_done": half_done(site, standing),
        "dealt_ahead": left,
        "versions": versions.collect::<Vec<_>>(),
    })
}

/// A version as JSON.
pub(super) fn version_json(version: &Version) -> Value {
    let (protocol, digest, size) = match &version.content {
        Content::Deployed { digest, protocol, bytes } => {
            (Some(protocol.to_string()), Some(hex::encode(digest)), Some(*bytes))
        }
        Content::Removed => (None, None, None),
    };
    json!({ "version": version.generation, "deployment": digest, "protocol": protocol, "bytes": size,
        "time": version.time, "client": version.client })
}
