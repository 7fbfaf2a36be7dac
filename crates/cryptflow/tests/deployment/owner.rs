//! An owner of a model who deploys it step by step, and can stop at each.

use std::time::Instant;

use cryptflow::remote::Site;
use cryptflow::standing::Standing;
use cryptflow_party::commitments::Told;
use cryptflow_party::deployment::Deployment;
use cryptflow_party::edition::Edition;
use cryptflow_party::greeting::{Ask, Greeting, PIECE, held, ready, say, versions};
use cryptflow_party::holding::Held;
use cryptflow_party::messages::SessionError;
use cryptflow_wire::tls::Channel;

use crate::sites::PATIENCE;

/// A channel to each party, at which all others are kept out of a model.
pub struct Owner {
    /// The number of the next version.
    pub generation: u64,
    pub channels: Vec<Channel>,
}

impl Owner {
    pub fn alone(site: &Site, name: &str) -> Owner {
        Owner::of(site, name).unwrap()
    }

    /// # Errors
    /// A party refuses.
    pub fn of(site: &Site, name: &str) -> Result<Owner, SessionError> {
        let (mut channels, mut parties) = (Vec::new(), Vec::new());
        for party in 0..3 {
            let mut channel = greeted(site, party)?;
            say(&mut channel, &Ask::Lock { name: name.into() })?;
            parties.push(versions(&mut channel)?.remove(0).versions.unwrap());
            channels.push(channel);
        }
        let generation = Standing { name: name.into(), parties }.next();
        Ok(Owner { generation, channels })
    }
}

/// A channel to a party, which knows what the client speaks.
pub fn greeted(site: &Site, party: usize) -> Result<Channel, SessionError> {
    let (config, end) = (site.config(), Instant::now() + PATIENCE);
    let entry = &config.parties[party];
    let peer = format!("P{party}");
    let mut channel = Channel::connect(&entry.address, &config.identity, entry.keys.now, &peer, end)?;
    say(&mut channel, &Greeting { version: Edition::NEWEST.number() })?;
    Ok(channel)
}

/// Gives a party its part.
pub fn offered(
    channel: &mut Channel,
    generation: u64,
    deployment: Deployment,
    told: &Told,
    parts: &[Vec<u8>],
) -> Result<Held, SessionError> {
    let lengths = parts.iter().map(|part| part.len() as u64).collect();
    let (salts, replace) = (told.salts.clone(), true);
    say(channel, &Ask::Deploy { generation, deployment, salts, lengths, replace })?;
    ready(channel)?;
    for piece in parts.iter().flat_map(|part| part.chunks(PIECE)) {
        channel.send(piece)?;
        ready(channel)?;
    }
    held(channel)
}
