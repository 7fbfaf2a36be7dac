//! What one party keeps, at that party.

use crate::error::{Error, Result};
use cryptflow_figures::table::with_header;
use cryptflow_figures::time::utc;
use cryptflow_party::config::Config;
use cryptflow_party::store::{Removal, Store};
use cryptflow_party::versions::{Kept, Model};
use cryptflow_party::{Audit, LockError, SiteLock};
use serde_json::{Value, json};

use super::shown::{content, state, version_json};
use super::{Arguments, List, Remove, RollBack, Show};

/// Runs the command in the store of a party.
pub(super) fn run(arguments: &Arguments, config: &Config, index: usize) -> Result<()> {
    let store = Store::open(&config.store, index).map_err(Error::new)?;
    match arguments {
        Arguments::List(List { json, .. }) => print(index, &store.models().map_err(Error::new)?, *json),
        Arguments::Show(Show { model, json, .. }) => {
            let mut models = store.models().map_err(Error::new)?;
            models.retain(|kept| kept.name == *model);
            if models.is_empty() {
                return Err(Error::new(format!("this party keeps nothing of {model:?}")));
            }
            print(index, &models, *json)
        }
        Arguments::Rm(Remove { model, json, .. }) => {
            if !store.names().map_err(Error::new)?.contains(model) {
                return Err(Error::new(format!("this party keeps nothing of {model:?}")));
            }
            let log = written_down(config, &store, &Removal::now(model))?;
            if !store.remove(model).map_err(Error::new)? {
                return Err(Error::new(format!("this party keeps nothing of {model:?}")));
            }
            if *json {
                return super::super::print(&json!({ "party": index, "model": model }).to_string());
            }
            super::super::print(&format!(
                "all that P{index} kept of {model} is removed: nobody can use it any more. The other parties keep their \
                 parts, which are of no use without this one; sessions that run end as they would have. {log}"
            ))
        }
        Arguments::Rollback(RollBack { .. }) => Err(Error::new(
            "a model is rolled back at all parties or at none: by a client that may deploy, with its configuration",
        )),
    }
}

/// Writes down what is about to be done, or has the party do that, which has its log to itself while it runs.
/// Returns where it will stand, for people.
fn written_down(config: &Config, store: &Store, removal: &Removal) -> Result<&'static str> {
    match SiteLock::take(&config.store) {
        Ok(_alone) => {
            let at = |error: &dyn std::fmt::Display| Error::at(&config.audit, error);
            let audit = Audit::open(&config.audit, config.identity.clone()).map_err(|error| at(&error))?;
            audit.write(Removal::EVENT, removal.fields()).map_err(|error| at(&error))?;
            Ok("The party's log says so")
        }
        Err(LockError::Held { .. }) => {
            store.note(removal).map_err(Error::new)?;
            Ok("The party, which runs, writes it into its log before it serves whoever connects next")
        }
        Err(error @ LockError::Io { .. }) => Err(Error::new(error)),
    }
}

fn print(index: usize, models: &[Model], json: bool) -> Result<()> {
    if json {
        let object = |model: &Model| match &model.versions {
            Err(reason) => json!({ "model": model.name, "damaged": reason }),
            Ok(versions) => {
                json!({ "model": model.name, "versions": versions.iter().map(kept_json).collect::<Vec<_>>() })
            }
        };
        let models: Vec<Value> = models.iter().map(object).collect();
        let report = json!({ "party": index, "models": models });
        return super::super::print(&serde_json::to_string_pretty(&report).map_err(Error::new)?);
    }
    let (mut rows, mut damaged) = (Vec::new(), Vec::new());
    for model in models {
        match &model.versions {
            Ok(versions) => rows.extend(versions.iter().map(|kept| row(&model.name, kept))),
            Err(reason) => damaged.push(format!("{}: {reason}\n", model.name)),
        }
    }
    let header = ["model", "version", "protocol", "digest", "size", "deployed (UTC)", "by", "state"];
    let mut text = if rows.is_empty() && damaged.is_empty() {
        format!("P{index} keeps no model\n")
    } else {
        with_header(header, rows, 1..2)
    };
    damaged.iter().for_each(|line| text += line);
    super::super::print(&text)
}

fn row(name: &str, kept: &Kept) -> [String; 8] {
    let version = &kept.version;
    let (protocol, digest, size) = content(version);
    let state = kept.trouble.clone().unwrap_or_else(|| state(Some(kept)).to_string());
    let (number, time) = (version.generation.to_string(), utc(version.time));
    [name.to_string(), number, protocol, digest, size, time, version.client.clone(), state]
}

fn kept_json(kept: &Kept) -> Value {
    let mut object = version_json(&kept.version);
    if let Some(object) = object.as_object_mut() {
        object.insert("committed".into(), json!(kept.committed));
        object.insert("trouble".into(), json!(kept.trouble));
    }
    object
}
