//! `cryptflow models`: what the parties keep, and how to go back or to be rid of it.

mod local;
mod shown;

use crate::deploying::Changed;
use crate::error::{Error, Result};
use crate::remote::Site;
use clap::{Args, Subcommand};
use cryptflow_party::config::Config;
use cryptflow_wire::Role;
use serde_json::json;

use super::site::Where;

/// Show, roll back and remove deployed models. With a client's configuration, at all three parties, which
/// must be running; with a party's, in the store of that party alone.
#[derive(Subcommand)]
pub(crate) enum Arguments {
    /// List the models.
    List(List),
    /// Show the versions of a model: at which party each of them is.
    Show(Show),
    /// Remove a model: all that all three parties keep of it. With a party's configuration: all that this
    /// party keeps of it, which nobody can use any more then; the two others keep theirs.
    Rm(Remove),
    /// Use the version before the one that is used, at all three parties. Twice is back again.
    Rollback(RollBack),
}

#[derive(Args)]
pub(crate) struct List {
    /// Which lane to look at.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    lane: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: Where,
}

#[derive(Args)]
pub(crate) struct Show {
    /// Which lane to look at.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    lane: usize,
    /// The model's name.
    model: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: Where,
}

#[derive(Args)]
pub(crate) struct Remove {
    /// The model's name.
    model: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: Where,
}

#[derive(Args)]
pub(crate) struct RollBack {
    /// The model's name.
    model: String,
    /// The version to use, as `cryptflow models show` numbers them.
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: Where,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let place = match arguments {
        Arguments::List(List { site, .. })
        | Arguments::Show(Show { site, .. })
        | Arguments::Rm(Remove { site, .. })
        | Arguments::Rollback(RollBack { site, .. }) => site,
    };
    let config = Config::read(&place.config).map_err(Error::new)?;
    if let Role::Party(index) = config.role {
        return local::run(arguments, &config, usize::from(index));
    }
    let site = place.site()?;
    match arguments {
        Arguments::List(List { json, lane, .. }) => shown::list(&site.at_lane(*lane)?, *json),
        Arguments::Show(Show { model, json, lane, .. }) => shown::show(&site.at_lane(*lane)?, model, *json),
        Arguments::Rm(Remove { model, json, .. }) => {
            changed(&site, model, "removed", *json, |site| site.remove(model))
        }
        Arguments::Rollback(RollBack { model, to, json, .. }) => {
            changed(&site, model, "rolled back", *json, |site| site.roll_back(model, *to))
        }
    }
}

/// Changes a model at each lane, and says what it is then.
fn changed(
    site: &Site,
    model: &str,
    what: &str,
    json: bool,
    change: impl Fn(&Site) -> Result<Changed>,
) -> Result<()> {
    let (mut reports, mut lines) = (Vec::new(), Vec::new());
    for (lane, site) in site.each_lane()?.into_iter().enumerate() {
        let at = if site.lanes() == 1 { String::new() } else { format!("lane {lane}: ") };
        let Changed { generation, deployment } =
            change(&site).map_err(|error| Error::of(error.code(), format!("{at}{error}")))?;
        let digest = deployment.map(hex::encode);
        reports.push(json!({ "model": model, "version": generation, "deployment": digest, "lane": lane }));
        let digest = digest.map(|digest| format!("\ndigest {digest}")).unwrap_or_default();
        let parties = site.parties().join(", ");
        lines.push(format!("{at}{model} is {what} at {parties}: version {generation}{digest}"));
    }
    if json { super::print_each(reports) } else { super::print(&lines.join("\n")) }
}
