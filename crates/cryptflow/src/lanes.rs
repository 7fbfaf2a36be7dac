//! Lanes, as a client uses them: a session is begun where there is room, and models are brought to each.

use cryptflow_mpc::keys;
use cryptflow_party::deployment::Deployment;
use cryptflow_program::{Checked, digest};
use cryptflow_protocols::ProtocolName;

use crate::deployed::Described;
use crate::error::{Error, Result};
use crate::patience::Patience;
use crate::remote::{NotOpened, Opened, Site, Wish};

impl Site {
    /// How many lanes each party has.
    pub fn lanes(&self) -> usize {
        self.config().lane.1
    }

    /// The site at each of its lanes, in order.
    ///
    /// # Errors
    /// The configuration's files are others by now.
    pub fn each_lane(&self) -> Result<Vec<Site>> {
        (0..self.lanes()).map(|lane| self.at_lane(lane)).collect()
    }

    /// What the parties use under a name, and its program: as the first lane says that can be asked, which is this
    /// one first.
    ///
    /// # Errors
    /// No lane can be asked, or none keeps it.
    pub fn found(&self, model: &str) -> Result<Described> {
        self.found_in_time(model, &mut Patience::none())
    }

    /// The same, as long as there is patience, where there is one lane; where there are several, another one is
    /// asked instead.
    ///
    /// # Errors
    /// As [`Site::found`].
    pub fn found_in_time(&self, model: &str, patience: &mut Patience<'_>) -> Result<Described> {
        let (own, lanes) = self.config().lane;
        if lanes == 1 {
            return self.described_in_time(model, patience);
        }
        let mut found = self.described(model);
        for lane in (0..lanes).filter(|&lane| lane != own) {
            if found.is_ok() {
                break;
            }
            // What this lane says is what is told where none has it.
            found = self.at_lane(lane)?.described(model).or(found);
        }
        found
    }

    /// Asks all parties for a session: at one lane after another, from one that chance chooses, until one has
    /// room; where none has, it waits in line at the first. A lane of which a party is away is passed over.
    /// Where there is a policy, each party has proved itself when this returns.
    ///
    /// # Errors
    /// No lane gives one: a party cannot be reached, refuses, or proves something else than the policy demands.
    pub fn open(
        &self,
        deployment: &Deployment,
        program: &Checked,
        protocol: ProtocolName,
        patience: &mut Patience<'_>,
    ) -> Result<Opened> {
        let lanes = self.lanes();
        if lanes == 1 {
            return Ok(self.open_here(Wish::live(deployment, program, protocol), patience)?);
        }
        let first = chance(lanes)?;
        let mut waits = None;
        for lane in (0..lanes).map(|step| (first + step) % lanes) {
            let (site, deployment) = match self.lane_with(lane, deployment, program) {
                Ok(found) => found,
                // It may be away; where all are, the last of them says so.
                Err(error) if lane != (first + lanes - 1) % lanes || waits.is_some() => {
                    patience.tell(&format!("lane {lane}: {error}"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            match site.open_here(Wish::live(&deployment, program, protocol), &mut Patience::none()) {
                Ok(opened) => return Ok(opened),
                Err(NotOpened::Passing(error)) => {
                    patience.tell(&format!("lane {lane}: {error}"));
                    waits.get_or_insert((site, deployment));
                }
                Err(NotOpened::Lasting(error)) => return Err(error),
            }
        }
        let (site, deployment) = waits.ok_or_else(|| Error::new("no lane can be reached"))?;
        Ok(site.open_here(Wish::live(&deployment, program, protocol), patience)?)
    }

    /// A lane, and what is deployed there of a model that is known at some lane.
    fn lane_with(&self, lane: usize, known: &Deployment, program: &Checked) -> Result<(Site, Deployment)> {
        let site = self.at_lane(lane)?;
        let (deployment, its_program) = site.describe(&known.name)?;
        let same = digest(&its_program).map_err(Error::new)? == digest(program).map_err(Error::new)?;
        if !same || deployment.protocol != known.protocol {
            return Err(Error::new(format!(
                "lane {lane} keeps another model under the name {:?}: deploy it again",
                known.name
            )));
        }
        Ok((site, deployment))
    }
}

/// One of so many.
fn chance(of: usize) -> Result<usize> {
    let mut bytes = [0; 8];
    keys::random(&mut bytes).map_err(Error::new)?;
    Ok((u64::from_le_bytes(bytes) % of as u64) as usize)
}
