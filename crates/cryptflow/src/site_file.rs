//! A site's configuration, as a file that is changed: comments, order and everything else stay.

use std::path::{Path, PathBuf};

use cryptflow_program::write_whole;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value, value};

use crate::error::{Error, Result};

/// A configuration's file.
pub struct SiteFile {
    path: PathBuf,
    document: DocumentMut,
}

/// What a party lets a new client do, where its own table says something else.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// `predict`, `deploy`.
    pub may: Option<Vec<String>>,
    /// The models that it may use.
    pub models: Option<Vec<String>>,
}

impl SiteFile {
    /// Reads it.
    ///
    /// # Errors
    /// There is none, or it is no TOML.
    pub fn read(path: &Path) -> Result<SiteFile> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::at(path, e))?;
        let document = text.parse().map_err(|e: toml_edit::TomlError| Error::at(path, e))?;
        Ok(SiteFile { path: path.into(), document })
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// The disk is full, or the folder cannot be written to.
    pub fn write(&self) -> Result<()> {
        let text = self.document.to_string();
        write_whole(&self.path, |file| file.write_all(text.as_bytes())).map_err(|e| Error::at(&self.path, e))
    }

    /// What this site is: `p0`, `p1` and so on, or `client`.
    ///
    /// # Errors
    /// The file does not say.
    pub fn role(&self) -> Result<&str> {
        self.text(&["site", "role"]).ok_or_else(|| Error::at(&self.path, "it says no site.role"))
    }

    /// A text, by its place.
    pub fn text(&self, place: &[&str]) -> Option<&str> {
        let mut item = self.document.as_item();
        for key in place {
            item = item.get(key)?;
        }
        item.as_str()
    }

    /// Sets a text in a table that is there, or takes it out.
    ///
    /// # Errors
    /// There is no such table.
    pub fn set(&mut self, table: &str, key: &str, text: Option<&str>) -> Result<()> {
        let missing = Error::at(&self.path, format!("it has no table [{table}]"));
        let table = self.document.get_mut(table).and_then(Item::as_table_like_mut).ok_or(missing)?;
        put(table, key, text.map(Value::from));
        Ok(())
    }

    /// Puts a text into a table, which is made where there is none.
    pub fn insert(&mut self, table: &str, key: &str, text: &str) {
        let item = self.document.entry(table).or_insert_with(|| Item::Table(Table::new()));
        if let Some(table) = item.as_table_like_mut() {
            put(table, key, Some(Value::from(text)));
        }
    }

    /// Takes in the tables of participants, as `init` and `site show` print them. Returns what has changed,
    /// for people. A participant whose key is another than is known, and was not announced, is taken in where
    /// that is asked for alone (`replace`).
    ///
    /// # Errors
    /// The text is no TOML, or has other tables; a key is another than is known; nothing is changed then.
    pub fn add(&mut self, tables: &str, rights: &Rights, replace: bool) -> Result<Vec<String>> {
        let fail = |reason: String| Error::new(format!("what is to be taken in: {reason}"));
        let given: DocumentMut = tables.parse().map_err(|e: toml_edit::TomlError| fail(e.to_string()))?;
        let own = self.role()?.to_string();
        let mut document = self.document.clone();
        let mut changes = Vec::new();
        for (name, item) in given.iter() {
            let table = item.as_table_like().ok_or_else(|| fail(format!("{name} is no table")))?;
            if name == "clients" {
                if own == "client" {
                    let reason = "a client's table is for the parties, and this site is a client's";
                    return Err(fail(reason.into()));
                }
                for (client, item) in table.iter() {
                    let table =
                        item.as_table_like().ok_or_else(|| fail(format!("clients.{client} is no table")))?;
                    let place = format!("clients.{client}");
                    let clients = document.entry("clients").or_insert_with(implicit);
                    let there =
                        clients.as_table_like_mut().ok_or_else(|| fail("clients is no table".into()))?;
                    let new = !there.contains_key(client);
                    let there = there.entry(client).or_insert_with(|| Item::Table(Table::new()));
                    changes.extend(merge(&place, there, table, replace).map_err(fail)?);
                    grant(&place, there, rights, new, &mut changes).map_err(fail)?;
                }
            } else if name.strip_prefix('p').is_some_and(|index| index.parse::<u8>().is_ok()) {
                if name == own {
                    return Err(fail(format!("{name} is this site itself: `site renew` changes its key")));
                }
                let there = document.entry(name).or_insert_with(|| Item::Table(Table::new()));
                changes.extend(merge(name, there, table, replace).map_err(fail)?);
            } else {
                let reason =
                    format!("{name} is no participant: [p0], [p1], … and [clients.NAME] are taken in");
                return Err(fail(reason));
            }
        }
        if given.iter().next().is_none() {
            return Err(fail("it has no table: give what `init` or `site show` prints".into()));
        }
        self.document = document;
        Ok(changes)
    }

    /// Takes a client out.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn remove(&mut self, client: &str) -> Result<()> {
        let clients = self.document.get_mut("clients").and_then(Item::as_table_like_mut);
        match clients.and_then(|clients| clients.remove(client)) {
            Some(_) => Ok(()),
            None => Err(Error::at(&self.path, format!("no client is called {client:?} here"))),
        }
    }
}

/// A table whose header is not written: only those within it are.
fn implicit() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

fn put(table: &mut dyn TableLike, key: &str, text: Option<Value>) {
    match text {
        None => drop(table.remove(key)),
        // What stands around the value stays: a comment, say.
        Some(text) => match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(there) => {
                let decor = there.decor().clone();
                *there = text;
                *there.decor_mut() = decor;
            }
            None => drop(table.insert(key, value(text))),
        },
    }
}

/// What a participant says of itself.
const SAID: [&str; 4] = ["name", "address", "fingerprint", "next_fingerprint"];

/// Takes over what a participant's table says. Rights are no part of it: they are this site's to give.
fn merge(
    place: &str,
    there: &mut Item,
    given: &dyn TableLike,
    replace: bool,
) -> std::result::Result<Vec<String>, String> {
    let there = there.as_table_like_mut().ok_or_else(|| format!("{place} is no table here"))?;
    let known = |key: &str| there.get(key).and_then(Item::as_str).unwrap_or_default().to_string();
    let (now, next) = (known("fingerprint"), known("next_fingerprint"));
    let mut said = Vec::new();
    for (key, item) in given.iter() {
        if matches!(key, "may" | "models") {
            continue;
        }
        if !SAID.contains(&key) {
            return Err(format!("{place}.{key} is nothing that a participant says of itself"));
        }
        let text = item.as_str().ok_or_else(|| format!("{place}.{key} is no text"))?;
        if key.ends_with("fingerprint") {
            text.parse::<cryptflow_wire::tls::Fingerprint>().map_err(|e| format!("{place}.{key}: {e}"))?;
        }
        said.push((key.to_string(), text.to_string()));
    }
    let key = said.iter().find(|(key, _)| key == "fingerprint").map(|(_, text)| text.clone());
    let key = key.ok_or_else(|| format!("{place} has no fingerprint"))?;
    if !now.is_empty() && key != now && key != next && !replace {
        return Err(format!(
            "{place} has the key {now} here, and {key} was never announced as its next: ask its operator over the \
             telephone; if it is right, add --replace"
        ));
    }
    let mut changes = Vec::new();
    // What is not announced any more is over.
    if !next.is_empty() && !said.iter().any(|(key, _)| key == "next_fingerprint") {
        put(there, "next_fingerprint", None);
        changes.push(format!("{place}.next_fingerprint is gone"));
    }
    for (key, text) in said {
        if there.get(&key).and_then(Item::as_str) != Some(&text) {
            put(there, &key, Some(Value::from(text.as_str())));
            changes.push(format!("{place}.{key} = {text:?}"));
        }
    }
    Ok(changes)
}

/// Gives a client its rights: those that are asked for, or, to a new one, the right to predict.
fn grant(
    place: &str,
    there: &mut Item,
    rights: &Rights,
    new: bool,
    changes: &mut Vec<String>,
) -> std::result::Result<(), String> {
    let there = there.as_table_like_mut().ok_or_else(|| format!("{place} is no table here"))?;
    let list = |texts: &[String]| Value::Array(texts.iter().map(String::as_str).collect::<Array>());
    let may = rights.may.clone().or_else(|| new.then(|| vec!["predict".into()]));
    for (key, texts) in [("may", may), ("models", rights.models.clone())] {
        if let Some(texts) = texts {
            put(there, key, Some(list(&texts)));
            changes.push(format!("{place}.{key} = {texts:?}"));
        }
    }
    Ok(())
}
