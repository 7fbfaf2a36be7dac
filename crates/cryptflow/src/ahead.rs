//! Runs that were dealt ahead at organisations, as their client sees them.

use clap::ValueEnum;
use cryptflow_engine::estimate;
use cryptflow_mpc::Party;
use cryptflow_party::code::Code;
use cryptflow_party::deployment::Deployment;
use cryptflow_party::edition::Edition;
use cryptflow_party::greeting::{Ask, Tell, answer_short, say, versions};
use cryptflow_party::messages::SessionError;
use cryptflow_party::mode::Mode;
use cryptflow_party::stock::{Left, Stocked};
use cryptflow_program::Checked;
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::tls::Channel;

use crate::client::Client;
use crate::deployed::{Described, only};
use crate::error::{Error, Result};
use crate::patience::Patience;
use crate::remote::{Opened, Site, Wish, each, joined, unexpected_answer};
use crate::standing::Standing;

/// When runs that were dealt ahead are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Where there are enough; the party that deals does so while the model runs, otherwise.
    IfThere,
    /// Or the command fails.
    Only,
    /// Not at all.
    Never,
}

/// Runs of a model that were dealt ahead at a lane.
pub struct Ready {
    site: Site,
    /// The model.
    pub described: Described,
    /// The protocol that they are for.
    pub protocol: ProtocolName,
    /// The stocks that all evaluators have, and how many runs are left of each.
    common: Vec<([u8; 32], u64)>,
    /// How many runs each evaluator keeps, in all of its stocks.
    pub at: Vec<u64>,
}

/// Runs that were dealt ahead just now.
pub struct Made {
    /// Digest of the deployment.
    pub deployment: [u8; 32],
    /// Bytes that each evaluator keeps of them, about.
    pub bytes: Vec<u64>,
}

/// How many parties evaluate: the one that deals is the last.
fn evaluators(site: &Site) -> usize {
    site.config().parties.len().saturating_sub(1)
}

/// What a party says that it keeps, of a model or of all. It says so once it was asked.
fn stocks(
    channel: &mut Channel,
    edition: Edition,
    name: Option<&str>,
) -> std::result::Result<Vec<Stocked>, SessionError> {
    if edition < Edition::Nine {
        return Err(SessionError::NotAhead(edition));
    }
    say(channel, &Ask::Dealt { name: name.map(String::from) })?;
    match answer_short(channel)? {
        Tell::Dealt(stocks) => Ok(stocks),
        _ => Err(unexpected_answer(channel)),
    }
}

impl Site {
    /// What each party keeps of runs that were dealt ahead, of a model or of all, at this lane.
    pub fn stocks(&self, model: Option<&str>) -> Vec<std::result::Result<Vec<Stocked>, SessionError>> {
        self.with_each(|index| {
            let asked = self.greet_in(index, |channel, edition| stocks(channel, edition, model));
            asked.map(|(_, stocks)| stocks)
        })
    }

    /// The runs of a model that were dealt ahead, for this protocol (that which it was deployed for, where none is named):
    /// of the lane that has most of one dealing. The party that deals is not asked, and may be away. Where there is one
    /// lane, an evaluator that is busy, or not there, is asked again as long as there is patience.
    ///
    /// # Errors
    /// No lane can say.
    pub fn dealt(
        &self,
        model: &str,
        protocol: Option<ProtocolName>,
        patience: &mut Patience<'_>,
    ) -> Result<Ready> {
        let (own, lanes) = self.config().lane;
        if lanes == 1 {
            return self.at_lane(own)?.dealt_here(model, protocol, patience);
        }
        let (mut found, mut failed): (Option<Ready>, Option<Error>) = (None, None);
        for lane in 0..lanes {
            let none = &mut Patience::none();
            match self.at_lane(lane).and_then(|site| site.dealt_here(model, protocol, none)) {
                Ok(ready) if found.as_ref().is_some_and(|found| found.most() >= ready.most()) => {}
                Ok(ready) => found = Some(ready),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        found.ok_or_else(|| failed.unwrap_or_else(|| Error::new("there are no lanes")))
    }

    /// The runs of a model that were dealt ahead, as [`Site::dealt`] says, where such are wanted; where others are, too,
    /// if there are so many.
    ///
    /// # Errors
    /// No lane can say, and no others are wanted; or an evaluator is not there, without whom there is no session at all.
    pub fn ready(
        &self,
        wanted: When,
        model: &str,
        protocol: Option<ProtocolName>,
        runs: u64,
        patience: &mut Patience<'_>,
    ) -> Result<Option<Ready>> {
        let found = match wanted {
            When::Never => return Ok(None),
            When::Only => return self.dealt(model, protocol, patience).map(Some),
            When::IfThere => self.dealt(model, protocol, patience),
        };
        let away = |code| matches!(code, Code::Unreachable | Code::Timeout | Code::Gone | Code::Busy);
        match found {
            Ok(ready) => Ok(Some(ready).filter(|ready| ready.most() >= runs)),
            Err(error) if self.lanes() == 1 && away(error.code()) => Err(error),
            // Parties that are older have none; all else is said by whoever is asked next, of all parties.
            Err(_) => Ok(None),
        }
    }

    /// What the parties use under a name, as [`Site::found_in_time`] says; or as the evaluators say, where runs that were
    /// dealt ahead are wanted and there are any: the party that deals need not be there then.
    ///
    /// # Errors
    /// As [`Site::ready`] and [`Site::found_in_time`].
    pub fn found_when(&self, wanted: When, model: &str, patience: &mut Patience<'_>) -> Result<Described> {
        match self.ready(wanted, model, None, 1, patience)? {
            Some(ready) => Ok(ready.described),
            None => self.found_in_time(model, patience),
        }
    }

    /// A session for a model that is known, whose first request takes so many runs: of those that were dealt ahead, where
    /// such are wanted and there are enough, and how many it can take of them; otherwise with all parties.
    ///
    /// # Errors
    /// As [`Site::ready`], [`Ready::open`] and [`Site::open`].
    pub fn open_when(
        &self,
        wanted: When,
        deployment: &Deployment,
        program: &Checked,
        runs: u64,
        patience: &mut Patience<'_>,
    ) -> Result<(Opened, Option<u64>)> {
        let Deployment { name, protocol, .. } = deployment;
        let ready = self.ready(wanted, name, Some(*protocol), runs, patience)?;
        // Each lane has a sharing of its own, of the same program.
        match ready.filter(|ready| ready.described.deployment.program == deployment.program) {
            Some(ready) => ready.open(runs, patience).map(|(opened, left)| (opened, Some(left))),
            None if wanted == When::Only => {
                let reason = format!("another {name:?} was deployed, and there are runs for that one");
                Err(Error::of(Code::DifferentModel, reason))
            }
            None => Ok((self.open(deployment, program, *protocol, patience)?, None)),
        }
    }

    fn dealt_here(
        self,
        model: &str,
        protocol: Option<ProtocolName>,
        patience: &mut Patience<'_>,
    ) -> Result<Ready> {
        let ask = |index| {
            self.greet_in(index, |channel, edition| {
                let stocks = stocks(channel, edition, Some(model))?;
                say(channel, &Ask::Versions { name: Some(model.into()) })?;
                Ok((only(versions(channel)?, channel)?, stocks))
            })
        };
        let asked = loop {
            match each(self.with_first(evaluators(&self), ask)) {
                Ok(asked) => break asked,
                Err(errors) if errors.iter().all(SessionError::passes) => {
                    patience.pause_after(errors).map_err(joined)?;
                }
                Err(errors) => return Err(joined(errors)),
            }
        };
        let (channels, said): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let (parties, stocks): (Vec<_>, Vec<_>) = said.into_iter().unzip();
        let described = self.described_over((channels, Standing { name: model.into(), parties }))?;
        let protocol = protocol.unwrap_or(described.deployment.protocol);
        let wanted = (described.deployment.digest(), protocol, self.config().session.check_inputs);
        let of = |stocked: &Stocked| -> Option<([u8; 32], Left)> {
            let found = stocked.found.as_ref().ok()?;
            let is = (stocked.deployment, found.protocol, found.check_inputs) == wanted;
            is.then_some((stocked.stock, Left { next: found.next, last: found.last }))
        };
        let each: Vec<Vec<([u8; 32], Left)>> =
            stocks.iter().map(|stocks| stocks.iter().filter_map(of).collect()).collect();
        let at = each.iter().map(|stocks| stocks.iter().map(|(_, left)| left.count()).sum()).collect();
        Ok(Ready { site: self, described, protocol, common: in_common(&each), at })
    }

    /// How many runs are missing of so many, at this lane: none as long as half of them are there, and none while any
    /// session runs at a party, as dealing would take time from it.
    ///
    /// # Errors
    /// A party cannot say.
    pub fn missing(&self, model: &str, runs: u64) -> Result<u64> {
        let lane = self.config().lane.0;
        let left = self.at_lane(lane)?.dealt_here(model, None, &mut Patience::none())?.left();
        if left.saturating_mul(2) >= runs {
            return Ok(0);
        }
        let idle = each(self.status()).map_err(joined)?.iter().all(|status| status.sessions.0 == 0);
        Ok(if idle { runs - left } else { 0 })
    }

    /// Has so many runs of a model dealt ahead, at this lane; its evaluators keep them. `told` hears how many bytes that
    /// is at each evaluator, before anything is done, and `progress` how many runs are on all disks.
    ///
    /// # Errors
    /// A party cannot be reached, refuses, or has no room; what was on all disks stays there.
    pub fn preprocess(
        &self,
        model: &str,
        runs: u32,
        told: &mut dyn FnMut(&[u64]),
        progress: &mut dyn FnMut(u32),
        patience: &mut Patience<'_>,
    ) -> Result<Made> {
        let Described { deployment, program, .. } = self.described_in_time(model, patience)?;
        let protocol = deployment.protocol;
        let facts = protocol.facts();
        let (Some(dealer), true) = (facts.dealer, facts.ahead) else {
            let reason = format!("nothing can be dealt ahead for the protocol {protocol}");
            return Err(Error::of(Code::WrongProtocol, reason));
        };
        let costs = protocol.costs(program.ring_bits, program.bits_per_round);
        let mut all = estimate(&program, &*costs).map_err(Error::new)?.total;
        if self.config().session.check_inputs {
            all += cryptflow_engine::input_check(&program, &*costs).map_err(Error::new)?;
        }
        let of = |party| all.bytes.between(dealer, Party::new(party)).saturating_mul(runs.into());
        let bytes: Vec<u64> = (0..evaluators(self)).map(of).collect();
        told(&bytes);
        let wish = Wish { deployment: &deployment, program: &program, protocol, mode: Mode::Deal };
        let opened = self.open_here(wish, patience)?;
        let client = Client::join(opened.links, &program, &opened.manifest, false)?;
        client.deal(runs, progress)?;
        client.finish()?;
        Ok(Made { deployment: deployment.digest(), bytes })
    }
}

/// The stocks that all evaluators have, as far as something is left of them.
fn in_common(each: &[Vec<([u8; 32], Left)>]) -> Vec<([u8; 32], u64)> {
    let Some((first, others)) = each.split_first() else { return Vec::new() };
    let both = |&(stock, left): &([u8; 32], Left)| {
        let mut left = left;
        for other in others {
            let (_, theirs) = other.iter().find(|(theirs, _)| *theirs == stock)?;
            left = left.both(*theirs);
        }
        (left.count() > 0).then_some((stock, left.count()))
    };
    first.iter().filter_map(both).collect()
}

impl Ready {
    /// How many runs are left that all evaluators have.
    pub fn left(&self) -> u64 {
        self.common.iter().map(|(_, left)| left).sum()
    }

    /// How many of one dealing: as many as a session can take.
    pub fn most(&self) -> u64 {
        self.common.iter().map(|(_, left)| *left).max().unwrap_or_default()
    }

    /// Whether a session can take so many runs.
    ///
    /// # Errors
    /// There are fewer.
    pub fn enough(&self, runs: u64) -> Result<()> {
        if runs <= self.most() {
            return Ok(());
        }
        let needed = if runs == 1 { "a run is needed".into() } else { format!("{runs} runs are needed") };
        let left = match (self.most(), self.left()) {
            (0, _) => "none that was dealt ahead is left".into(),
            (most, all) if most == all => format!("{all} that were dealt ahead are left"),
            (most, all) => {
                format!(
                    "{all} that were dealt ahead are left, {most} of one dealing, from which a session takes"
                )
            }
        };
        let at = self.at.iter().enumerate();
        let at: Vec<String> = at
            .map(|(party, left)| format!("{} keeps {left}", self.site.config().party_name(party)))
            .collect();
        let model = &self.described.deployment.name;
        Err(Error::of(Code::NoDealtRun, format!("{model}: {needed}, and {left} ({})", at.join(", "))))
    }

    /// Asks the evaluators for a session that takes so many: from the stock with the fewest that are enough, so that what
    /// others have left is used up. Returns also how many that has.
    ///
    /// # Errors
    /// There are not so many; an evaluator cannot be reached, or refuses.
    pub fn open(&self, runs: u64, patience: &mut Patience<'_>) -> Result<(Opened, u64)> {
        self.enough(runs)?;
        let enough = self.common.iter().filter(|(_, left)| *left >= runs);
        let Some(&(stock, left)) = enough.min_by_key(|(_, left)| *left) else {
            return Err(Error::of(Code::NoDealtRun, "no run that was dealt ahead is left"));
        };
        let Described { deployment, program, .. } = &self.described;
        let wish = Wish { deployment, program, protocol: self.protocol, mode: Mode::Dealt { stock } };
        Ok((self.site.open_here(wish, patience)?, left))
    }

    /// What is left by now.
    ///
    /// # Errors
    /// An evaluator cannot say.
    pub fn now(&self) -> Result<Ready> {
        let lane = self.site.config().lane.0;
        let name = &self.described.deployment.name;
        self.site.at_lane(lane)?.dealt_here(name, Some(self.protocol), &mut Patience::none())
    }

    /// The site, at the lane where they are.
    pub fn site(&self) -> &Site {
        &self.site
    }
}
