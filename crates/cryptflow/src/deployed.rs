//! What the parties keep, as their client sees it.

use std::collections::BTreeSet;

use cryptflow_party::code::Code;
use cryptflow_party::deployment::Deployment;
use cryptflow_party::greeting::{Ask, Tell, answer, ready, say, versions};
use cryptflow_party::messages::SessionError;
use cryptflow_party::versions::{Content, Kept, Model};
use cryptflow_program::Checked;
use cryptflow_wire::tls::Channel;

use crate::error::{Error, Result};
use crate::patience::Patience;
use crate::remote::{Site, all, each, joined, unexpected_answer};
use crate::standing::{Standing, Unfinished};

/// A model that all parties keep, ready to be used.
pub struct Described {
    /// What everybody may know of it.
    pub deployment: Deployment,
    /// Its program.
    pub program: Checked,
    /// The number of its version.
    pub generation: u64,
    /// What whoever uses it should hear: a newer version that not all parties have, say.
    pub warning: Option<String>,
}

/// All models that parties keep for a client.
pub struct Listing {
    /// How each stands, by name.
    pub standings: Vec<Standing>,
    /// What could not be found out, and why.
    pub missing: Vec<String>,
}

impl Site {
    /// What the parties use under a name, and its program.
    ///
    /// # Errors
    /// As [`Site::described`].
    pub fn describe(&self, model: &str) -> Result<(Deployment, Checked)> {
        self.described(model).map(|described| (described.deployment, described.program))
    }

    /// The newest version of a model that all parties have committed. What a deployment left half done is
    /// finished first, where that can be.
    ///
    /// # Errors
    /// A party cannot be reached, or there is no version that all of them keep.
    pub fn described(&self, model: &str) -> Result<Described> {
        self.described_in_time(model, &mut Patience::none())
    }

    /// The same, as long as there is patience: where a party is busy, or is not there, it is asked again.
    ///
    /// # Errors
    /// As [`Site::described`].
    pub fn described_in_time(&self, model: &str, patience: &mut Patience<'_>) -> Result<Described> {
        let over = self.standing_over(model, patience)?;
        self.described_over(over)
    }

    /// The newest version that all of these parties have committed.
    pub(crate) fn described_over(
        &self,
        (mut channels, mut standing): (Vec<Channel>, Standing),
    ) -> Result<Described> {
        let model = &standing.name.clone();
        let mut refused = self.finish(&mut channels, &mut standing);
        let current = standing.current().ok_or_else(|| self.no_version(&standing, &refused))?;
        let (generation, digest) = match current.content {
            Content::Deployed { digest, .. } => (current.generation, digest),
            Content::Removed => {
                let reason = format!("the model {model:?} was removed (version {})", current.generation);
                return Err(Error::of(Code::UnknownModel, reason));
            }
        };
        let warning = standing.behind(&self.config().parties).map(|(newest, without)| {
            let without: Vec<String> = without.iter().map(|&party| self.config().party_name(party)).collect();
            refused.dedup();
            let why = if refused.is_empty() { String::new() } else { format!(" ({})", refused.join("; ")) };
            format!(
                "version {} of {model:?} was decided, and {} has it not{why}: version {generation} is used, which all \
                 parties have. Deploy the model again, or roll it back",
                newest.generation,
                without.join(", ")
            )
        });
        let channel = channels.first_mut().ok_or_else(|| Error::new("there are no parties"))?;
        let deployment = describe(channel, model, digest)?;
        let program = deployment.parse()?;
        Ok(Described { deployment, program, generation, warning })
    }

    /// How a model stands at the parties.
    ///
    /// # Errors
    /// A party cannot be reached, or cannot say.
    pub fn standing(&self, model: &str) -> Result<Standing> {
        self.standing_over(model, &mut Patience::none()).map(|(_, standing)| standing)
    }

    /// The same, after what a deployment left half done was finished, where that can be.
    ///
    /// # Errors
    /// As [`Site::standing`].
    pub fn finished(&self, model: &str) -> Result<Standing> {
        let (mut channels, mut standing) = self.standing_over(model, &mut Patience::none())?;
        self.finish(&mut channels, &mut standing);
        Ok(standing)
    }

    /// How a model stands, and the channels over which the parties were asked.
    fn standing_over(&self, model: &str, patience: &mut Patience<'_>) -> Result<(Vec<Channel>, Standing)> {
        let ask = |index| {
            self.greet(index, |channel| {
                say(channel, &Ask::Versions { name: Some(model.into()) })?;
                only(versions(channel)?, channel)
            })
        };
        loop {
            match each(self.with_each(ask)) {
                Ok(asked) => {
                    let (channels, parties) = asked.into_iter().unzip();
                    return Ok((channels, Standing { name: model.into(), parties }));
                }
                Err(errors) if errors.iter().all(SessionError::passes) => {
                    patience.pause_after(errors).map_err(joined)?;
                }
                Err(errors) => return Err(joined(errors)),
            }
        }
    }

    /// How each model stands that any party keeps for this client.
    ///
    /// # Errors
    /// No party can be asked.
    pub fn listing(&self) -> Result<Listing> {
        let asked = self.with_each(|index| {
            let asked = self.greet(index, |channel| {
                say(channel, &Ask::Versions { name: None })?;
                versions(channel)
            });
            asked.map(|(_, models)| models)
        });
        let (mut missing, mut names) = (Vec::new(), BTreeSet::new());
        for (party, models) in asked.iter().enumerate() {
            match models {
                Err(error) => missing.push(error.to_string()),
                Ok(models) => {
                    names.extend(models.iter().map(|model| model.name.as_str()));
                    missing.extend(models.iter().filter_map(|model| {
                        let reason = clean(model.versions.as_ref().err()?);
                        Some(format!("{}: {}: {reason}", self.config().party_name(party), model.name))
                    }));
                }
            }
        }
        let of = |name: &str| {
            let kept = asked.iter().map(|models| {
                let found = models.iter().flatten().find(|model| model.name == name);
                found.and_then(|model| model.versions.clone().ok()).unwrap_or_default()
            });
            Standing { name: name.into(), parties: kept.collect() }
        };
        let standings = names.into_iter().map(of).collect();
        if asked.iter().all(std::result::Result::is_err) {
            all(asked)?;
        }
        Ok(Listing { standings, missing })
    }

    /// Hands parties what is left of versions that others have committed. Returns why some did not take
    /// it.
    pub(crate) fn finish(&self, channels: &mut [Channel], standing: &mut Standing) -> Vec<String> {
        let mut refused = Vec::new();
        for unfinished in standing.unfinished() {
            let Unfinished { party, generation, ref held } = unfinished;
            let Some(channel) = channels.get_mut(party) else { continue };
            let ask = Ask::Commit { name: standing.name.clone(), generation, held: held.clone() };
            match say(channel, &ask).and_then(|()| ready(channel)) {
                Ok(()) => standing.finished(&unfinished),
                Err(error) => refused.push(error.to_string()),
            }
        }
        refused
    }

    /// Why there is no version that all parties keep.
    fn no_version(&self, standing: &Standing, refused: &[String]) -> Error {
        let model = &standing.name;
        if standing.parties.iter().all(Vec::is_empty) {
            return Error::of(
                Code::UnknownModel,
                format!("no model {model:?} is deployed; `cryptflow models list` shows which there are"),
            );
        }
        let each = standing.parties.iter().enumerate().map(|(party, kept)| {
            let committed: Vec<&Kept> = kept.iter().filter(|kept| kept.committed).collect();
            let named: Vec<String> = committed.iter().map(|kept| short(kept)).collect();
            let what = if named.is_empty() { "none".to_string() } else { named.join(", ") };
            format!("{} {what}", self.config().party_name(party))
        });
        let each: Vec<String> = each.collect();
        let why = if refused.is_empty() { String::new() } else { format!(" ({})", refused.join("; ")) };
        Error::of(
            Code::DifferentModel,
            format!(
                "there is no version of {model:?} that all parties keep: {}{why}; deploy it again, with --replace",
                each.join("; ")
            ),
        )
    }
}

/// A version, in a line of several.
fn short(kept: &Kept) -> String {
    let Kept { version, .. } = kept;
    match &version.content {
        Content::Deployed { digest, .. } => {
            let digest: String = hex::encode(digest).chars().take(16).collect();
            format!("version {} ({digest}…)", version.generation)
        }
        Content::Removed => format!("version {} (removed)", version.generation),
    }
}

/// The versions of the one model that was asked for.
pub(crate) fn only(
    mut models: Vec<Model>,
    channel: &Channel,
) -> std::result::Result<Vec<Kept>, SessionError> {
    match (models.pop(), models.pop()) {
        (Some(model), None) => model.versions.map_err(|reason| SessionError::Refused {
            peer: channel.peer().into(),
            code: Code::DamagedModel,
            reason: clean(&reason),
        }),
        (None, _) | (Some(_), Some(_)) => Err(unexpected_answer(channel)),
    }
}

/// What a party says, without what a terminal would make of it.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What a party keeps under this digest, if that is what it gives.
fn describe(
    channel: &mut Channel,
    model: &str,
    digest: [u8; 32],
) -> std::result::Result<Deployment, SessionError> {
    say(channel, &Ask::Describe { name: model.into(), deployment: digest })?;
    match answer(channel)? {
        Tell::Model(deployment) if deployment.digest() == digest => {
            // The name is no part of the digest.
            Ok(Deployment { name: model.into(), ..*deployment })
        }
        Tell::Model(_) => Err(SessionError::Message {
            peer: channel.peer().into(),
            reason: "it gives another model than it says that it keeps".into(),
        }),
        _ => Err(unexpected_answer(channel)),
    }
}
